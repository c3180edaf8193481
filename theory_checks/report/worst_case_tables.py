"""The exact worst cases as a table (CSV and Markdown) and a figure."""

# The stubs of pandas and matplotlib know neither the types of columns nor those of arguments.
# pyright: reportArgumentType=false
from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from bench.report.figure_style import save_figure
from bench.utils.atomic_files import write_atomically

from ..worst_cases import TIGHT, WorstCase
from .experiment_tables import markdown_table

LEGEND = """
*Stated* is the bound of the claim, *exact* the largest value of its left side over the whole class, in every
dimension, by a semidefinite programme (PEPit, solved by Clarabel). *Tight*: they agree to 1e-6. *Proved at most* is an
upper bound that does not trust the solver: rational multipliers, and a slack matrix whose positivity is proved in ball
arithmetic (Arb). A dash: the multipliers of the solver were too coarse for a proof.
"""


def summary_frame(found: Sequence[WorstCase]) -> pd.DataFrame:
    """One row for each bound: how many parameters, at how many it is tight, and proved."""
    groups: dict[tuple[str, str, str], list[WorstCase]] = {}
    for worst in found:
        groups.setdefault((worst.case.claim, worst.case.quantity, worst.case.over), []).append(worst)
    return pd.DataFrame(
        [
            {
                "claim": claim,
                "bound": quantity,
                "over": over,
                "parameters": len(rows),
                "tight": f"{sum(row.verdict == TIGHT for row in rows)}",
                "least exact/stated": f"{min(row.ratio for row in rows):.7f}",
                "proved to 1e-6": f"{sum(row.certified for row in rows)}",
            }
            for (claim, quantity, over), rows in groups.items()
        ]
    )


def worst_case_frame(found: Sequence[WorstCase]) -> pd.DataFrame:
    """One row for each bound and its parameters, as numbers."""
    return pd.DataFrame(
        [
            {
                "claim": worst.case.claim,
                "bound": worst.case.quantity,
                "parameters": worst.case.label,
                "stated": worst.case.stated,
                "exact": worst.exact,
                "exact/stated": worst.ratio,
                "verdict": worst.verdict,
                "proved at most": worst.proven,
                "why not proved": worst.reason,
            }
            for worst in found
        ]
    )


def write_worst_cases(found: Sequence[WorstCase], folder: Path) -> list[Path]:
    """Write ``worst-cases.csv``, ``.md`` and the figure into a folder."""
    frame = worst_case_frame(found)
    text = frame.drop(columns=["why not proved"]).assign(
        **{
            column: frame[column].map(_digits)
            for column in ("stated", "exact", "exact/stated", "proved at most")
        }
    )
    page = "\n".join(
        (
            "# Exact worst cases",
            LEGEND,
            markdown_table(summary_frame(found)),
            "\n## At all parameters\n",
            markdown_table(text),
            "",
        )
    )
    folder.mkdir(parents=True, exist_ok=True)
    numbers = folder / "worst-cases.csv"
    write_atomically(numbers, frame.to_csv(index=False, float_format="%.12g"))
    write_atomically(folder / "worst-cases.md", page)
    mpl.use("agg")
    return [numbers, folder / "worst-cases.md", *save_figure(ratio_figure(found), "worst-cases", folder)]


def ratio_figure(found: Sequence[WorstCase]) -> Figure:
    """The exact value over the bound, a row for each claim; filled where it is proved."""
    claims = list(dict.fromkeys(worst.case.claim for worst in found))
    figure, ax = plt.subplots(figsize=(6.4, 0.9 + 0.27 * len(claims)), layout="constrained")
    for proved, fill, label in (
        (True, "#0173b2", "proved in ball arithmetic"),
        (False, "none", "to the solver's accuracy"),
    ):
        rows = [worst for worst in found if worst.certified is proved]
        places = [claims.index(worst.case.claim) for worst in rows]
        ratios = [worst.ratio for worst in rows]
        ax.scatter(
            ratios, places, s=26, facecolors=fill, edgecolors="#0173b2", linewidths=0.9, label=label, zorder=3
        )
    ax.axvline(1, color="0.4", lw=0.8)
    ax.set(yticks=range(len(claims)), yticklabels=claims, ylim=(len(claims) - 0.4, -0.6))
    ax.set(xlabel="exact worst case / stated bound", title="1: a problem of the class attains the bound")
    ax.grid(axis="y", color="0.9")
    ax.legend(frameon=False, loc="lower left", fontsize=8)
    return figure


def _digits(value: float) -> str:
    return "—" if math.isnan(value) else f"{value:.8g}"
