"""The matrix as tables: Markdown, CSV and LaTeX, the best value of a task marked."""

# The stubs of pandas and seaborn know neither the types of columns nor those of rows.
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false, reportIndexIssue=false
from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from . import bibliography, latex
from .files import write_atomically
from .lipschitz import verdict
from .oracle import TOLERANCE


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the printed tables.

    Attributes:
        name: of the tidy column.
        title: as it is printed.
        show: a mean as text; its spread is printed after ``±`` where it is visible.
        best: ``max`` or ``min`` marks the best value of a task; ``None`` marks none.
        spread: tidy column that holds the spread; ``None`` for the standard deviation over seeds.
        over: what is printed of the values of several seeds.
        words: it is printed as words, without a spread.
    """

    name: str
    title: str
    show: Callable[[float], str]
    best: Callable[[pd.Series], float] | None = None
    spread: str | None = None
    over: Callable[[pd.Series], float] = pd.Series.mean
    words: bool = False


def _fixed(digits: int) -> Callable[[float], str]:
    return lambda value: f"{value:.{digits}f}"


def _scientific(value: float) -> str:
    return f"{value:.1e}"


def _error(value: float) -> str:
    """An error, or that it is below what the reference gradient itself is certified to."""
    return _scientific(value) if value >= TOLERANCE else f"< {TOLERANCE:.0e}"


def _whole(value: float) -> str:
    return f"{value:.0f}" if value == int(value) else f"{value:.1f}"


def _decibel(value: float) -> str:
    return "diverged" if value == -math.inf else f"{value:.2f}"


def _stalled(share: float) -> str:
    return "no" if share == 0 else "yes" if share == 1 else "on some seeds"


COLUMNS = (
    Column("psnr", "PSNR (dB)", _fixed(2), max),
    Column("psnr_equilibrium", "PSNR at eq. (dB)", _fixed(2), max),
    Column("ssim", "SSIM", _fixed(3), max),
    Column("ssim_equilibrium", "SSIM at eq.", _fixed(3), max),
    Column("hypergradient_error", "gradient error", _error, min),
    Column("certified", "certified", _error),
    Column("hypergradient_cosine", "cosine", _fixed(4), max),
    Column("residual", "residual", _scientific),
    Column("applications", "applications", _whole),
    Column("vjps", "VJPs", _whole),
    Column("saved_mib", "tape (MiB)", _fixed(2), min),
    Column("peak_mib", "peak (MiB)", _fixed(2), min),
    Column("step_ms", "step (ms)", _fixed(1), min, spread="step_iqr_ms"),
    Column("floor_ratio", "× floor", _fixed(2), spread="floor_iqr"),
)

PAST = (
    Column("jacobian_norm", "T at its equilibrium", verdict, over=pd.Series.max, words=True),
    Column("jacobian_norm_residual", "± rel.", _scientific, over=pd.Series.max, words=True),
    Column("stalls", "residual stalls", _stalled, words=True),
    Column("psnr", "PSNR as trained (dB)", _fixed(2), max),
    Column("psnr_10", "at 10 ×", _decibel, max),
    Column("psnr_100", "at 100 ×", _decibel, max),
    Column("psnr_equilibrium", "at eq.", _fixed(2), max),
    Column("equilibrium_residual", "residual there", _scientific),
)
"""What becomes of the learned operator past the depth that was trained."""


def summarise(frame: pd.DataFrame) -> pd.DataFrame:
    """Mean and spread over seeds of each task and solver, in the order of the frame.

    The spread is the standard deviation, and 0 for a single seed; that of a timing is its interquartile
    range. Cells that failed count as ``failed`` and are left out of the means. Columns: ``task``, ``crop``, ``batch``,
    ``heading``, ``solver``, ``seeds``, ``failed``, and ``X`` and ``X_spread`` for each column X.
    """
    rows = []
    for (heading, solver), group in frame.groupby(["heading", "solver"], sort=False):
        good = group[group["status"] == "ok"]
        row: dict[str, object] = {
            **{name: group[name].iloc[0] for name in ("task", "crop", "batch")},
            "heading": heading,
            "solver": solver,
            "seeds": len(good),
            "failed": len(group) - len(good),
        }
        for column in (*COLUMNS, *PAST):
            values = good[column.name].dropna().astype(float)
            row[column.name] = column.over(values) if len(values) else math.nan
            if column.spread is not None:
                row[f"{column.name}_spread"] = good[column.spread].mean()
            else:
                several = len(values) > 1 and bool(values.map(math.isfinite).all())
                row[f"{column.name}_spread"] = values.std() if several else 0.0
        rows.append(row)
    return pd.DataFrame(rows)


def _text(column: Column, mean: float, spread: float) -> str:
    if math.isnan(mean):
        return "—"
    if column.words:
        return column.show(mean)
    shown, around = column.show(mean), column.show(spread)
    # A spread that prints as nothing, or is below what can be known, is not shown.
    visible = not shown.startswith("<") and not around.startswith("<") and float(around) > 0
    return f"{shown} ± {around}" if visible else shown


def printable(
    summary: pd.DataFrame, heading: str, columns: tuple[Column, ...] = COLUMNS
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows under a heading as text, and which of them are the best of their column.

    A column of which nothing was measured is left out.
    """
    part = summary[summary["heading"] == heading].reset_index(drop=True)
    columns = tuple(c for c in columns if part[c.name].notna().any())
    text = pd.DataFrame({"solver": part["solver"]})
    best = pd.DataFrame(False, index=part.index, columns=["solver", *(c.title for c in columns)])
    for column in columns:
        values = part[column.name]
        cells = [_text(column, m, s) for m, s in zip(values, part[f"{column.name}_spread"], strict=True)]
        text[column.title] = cells
        if column.best is not None and values.notna().any():
            winner = column.best(values.dropna())
            # What prints alike is marked alike.
            best[column.title] = [math.isfinite(m) and column.show(m) == column.show(winner) for m in values]
    failed = part["failed"].to_numpy()
    if failed.any():
        text["failed"] = [str(n) if n else "" for n in failed]
        best["failed"] = False
    return text, best


def to_markdown(text: pd.DataFrame, best: pd.DataFrame) -> str:
    """A pipe table, the best in bold."""
    marked = text.where(~best[list(text.columns)], "**" + text + "**")
    align = ("left", *("right",) * (len(text.columns) - 1))
    return marked.to_markdown(index=False, colalign=align, disable_numparse=True) + "\n"


def slug(heading: str) -> str:
    """A heading as the name of a file."""
    return re.sub(r"[^0-9A-Za-z]+", "-", heading).strip("-")


def to_latex(text: pd.DataFrame, best: pd.DataFrame, heading: str) -> str:
    """A booktabs table, the best in bold. Needs ``\\usepackage{booktabs}`` and ``adjustbox``.

    A comment above it says what to cite for its rows, by the keys of ``references.bib``.
    """
    names = bibliography.named([heading, *text["solver"]])
    keys = ",".join(work.key for work in bibliography.works(names))
    cited = f"% its sources, in references.bib: \\cite{{{keys}}}\n" if keys else ""
    caption = f"Estimators on {latex.escape(heading)}: mean $\\pm$ spread over seeds, the best in bold."
    above = latex.Heading(caption, f"tab:{slug(heading)}")
    align = "l" + "r" * (len(text.columns) - 1)
    return latex.NEEDS + cited + latex.table(text, above, align, best[list(text.columns)])


def write_tables(frame: pd.DataFrame, folder: Path) -> list[Path]:
    """Write ``tables.md``, ``summary.csv``, ``cells.csv``, ``references.bib`` and a ``.tex`` for each task and size.

    The same frame gives the same bytes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    summary = summarise(frame)
    written = {"summary.csv": summary.to_csv(index=False), "cells.csv": frame.to_csv(index=False)}
    parts = []
    for heading in summary["heading"].unique():
        text, best = printable(summary, heading)
        part = frame[frame["heading"] == heading]
        parts.append(f"## {heading}\n\n{_facts(part)}\n\n{to_markdown(text, best)}")
        if part["psnr"].notna().any():
            parts.append(f"Past the trained depth:\n\n{to_markdown(*printable(summary, heading, PAST))}")
        written[f"{slug(heading)}.tex"] = to_latex(text, best, heading)
    failures = frame[frame["status"] != "ok"]
    if len(failures):
        listed = failures[["heading", "solver", "seed", "status", "reason"]]
        listed = listed.rename(columns={"heading": "task"}).to_markdown(index=False)
        parts.append(f"## Cells that failed\n\n{listed}\n")
    names = bibliography.named([*frame["solver"].unique(), *frame["task"].unique()])
    written["references.bib"] = bibliography.to_bibtex(bibliography.works(names))
    written["tables.md"] = "\n".join(parts) + _LEGEND + _SOURCES + bibliography.to_markdown(names)
    for name, content in written.items():
        write_atomically(folder / name, content)
    return [folder / name for name in written]


def _facts(part: pd.DataFrame) -> str:
    contraction, before = part["contraction"].mean(), part["psnr_measurement"].mean()
    if math.isnan(contraction):
        known = "No bound on L is known in advance: outside the theory"
    elif contraction >= 1:
        known = f"L ≤ {contraction:.3f} only: outside the theory"
    else:
        known = f"L ≤ {contraction:.3f}"
    facts = [known]
    if not math.isnan(before):
        facts.append(f"The measurement itself has {before:.2f} dB")
    if part["hypergradient_error"].isna().all():
        facts.append("There is no reference gradient")
    return ". ".join(facts) + "."


_LEGEND = """
---
PSNR and SSIM of the test images at the depth that was trained, and after running the learned operator to
its equilibrium (— where none was found, to ten times the tolerance of the profile). *Gradient error* and *cosine*:
the solver's gradient at the initial parameters against the certified float64 implicit gradient, itself good to 1e-10
(— where there is none). *Residual*: ‖T(x) − x‖ / ‖T(x)‖ of the solver's reconstruction there.
*Applications* and *VJPs* of T in a training step. *Tape*: bytes that autograd saved;
*peak*: the most alive at once. *Step*: median seconds of a training step; *× floor*: its ratio to a bare loop
that does the same work, median of interleaved pairs. Best of a task in bold; ± is the standard
deviation over seeds, and for the two timings the interquartile range over rounds.

*Past the trained depth*: the learned operator iterated 10 and 100 times as long as it was trained (— where the
profile leaves no time), and at the equilibrium that Anderson acceleration finds, with its residual
‖T(x) − x‖ / ‖T(x)‖; where it finds none, where plain iteration or Anderson ended, whichever has the smaller residual.
*T at its equilibrium*: ‖J‖ there by power iteration on JᵀJ, an estimate from below; *± rel.* is that iteration's own
residual.
*Residual stalls*: it shrinks by less than half from 10 to 100 times the depth.
"""
_SOURCES = """
*Sources*, by their keys in `references.bib`:

"""
