"""The verdict table: Markdown, LaTeX and JSON, and the figure of actual error against bound."""

# The stubs of pandas and seaborn know neither the types of columns nor those of rows.
# pyright: reportArgumentType=false
from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from bench import latex
from bench.bibliography import to_bibtex
from bench.drawing import save
from bench.files import write_atomically
from bench.records import finite

from .bounds import restarted_bound
from .cases import Case, isotropic, network, scaling, tanh
from .claims.c06_restarted_error import error
from .exact import exact, norm
from .mutants import Fate
from .operator import Finding
from .sources import cited
from .verify import Verdict

if TYPE_CHECKING:
    from .peers import PeerFinding

GOOD = frozenset({"holds", "assumption not met"})
ROUNDING = 1e-14
"""Relative errors below it are rounding."""


def frame(verdicts: list[Verdict]) -> pd.DataFrame:
    """The columns that are printed, as text."""
    rows = [
        {
            "claim": v.id,
            "statement": v.statement,
            "assumptions": v.assumptions,
            "families": v.families,
            "examples": v.examples,
            "outside": v.outside,
            "worst ratio": f"{v.worst:.3g}" if v.examples else "—",
            "bound/actual": _effectivity(v),
            "verdict": v.verdict,
            "seconds": f"{v.seconds:.1f}",
        }
        for v in verdicts
    ]
    return pd.DataFrame(rows)


def _effectivity(v: Verdict) -> str:
    """Median and 90th percentile."""
    return "—" if math.isnan(v.median) else f"{v.median:.3g}, {v.ninetieth:.3g}"


def findings_frame(findings: list[Finding]) -> pd.DataFrame:
    """Claims on operators, as text."""
    rows = [
        {
            "operator": f.of,
            "claim": f.claim,
            "L": f"{f.L:.4g} ({f.rigour})",
            "ratio": "—" if math.isnan(f.ratio) else f"{f.ratio:.2g}",
            "verdict": f.verdict,
            "why": f.reason,
        }
        for f in findings
    ]
    return pd.DataFrame(rows)


def fates_frame(fates: list[Fate]) -> pd.DataFrame:
    """What became of each mutant, as text."""
    rows = [
        {
            "mutation": fate.name,
            "caught by": ", ".join(fate.caught) or "NOBODY",
            "for instance": next(iter(fate.caught.values()), ""),
        }
        for fate in fates
    ]
    return pd.DataFrame(rows)


def write_fates(fates: list[Fate], folder: Path) -> Path:
    """Write ``mutations.md``."""
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / "mutations.md", _markdown(fates_frame(fates)) + "\n")
    return folder / "mutations.md"


def peers_frame(findings: list[PeerFinding]) -> pd.DataFrame:
    """A row a library and case, the loss as it is and scaled."""
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for f in findings:
        row = rows.setdefault((f.case, f.library), {"operator": f.case, "library, budget": f.library})
        shown = f.verdict if math.isnan(f.error) else f"{f.error:.1e} {f.verdict}"
        row["loss" if f.scale == 1 else f"loss × {f.scale:g}"] = shown
    return pd.DataFrame(list(rows.values()))


def write_peers(found: pd.DataFrame, folder: Path) -> Path:
    """Write ``peers.md``."""
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / "peers.md", _markdown(found) + "\n")
    return folder / "peers.md"


def to_json(verdicts: list[Verdict], findings: list[Finding]) -> str:
    """All that is known: ``claims`` and ``operators``, an object each; ``null`` where a number is not finite."""
    found = {"claims": [asdict(v) for v in verdicts], "operators": [asdict(f) for f in findings]}
    return json.dumps(finite(found), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def to_markdown(verdicts: list[Verdict], findings: list[Finding]) -> str:
    """The claims, the operators, then for each claim its twin and the example of its worst ratio."""
    lines: list[str] = []
    if verdicts:
        lines += ["# Claims on instances with exact constants", "", _markdown(frame(verdicts)), ""]
    if findings:
        lines += ["# Claims on operators", "", _markdown(findings_frame(findings)), ""]
    if verdicts:
        lines += ["# False twins, and where it was worst", ""]
    for v in verdicts:
        keys = "".join(f"; `{work.key}`" for work in cited([v.id]))
        lines.append(f"- **{v.id}** ({v.source}{keys}). {v.twin}.")
        if v.detail:
            lines.append(f"  Worst: `{v.detail}`.")
        if v.spread:
            spread = (f"{of} {m:.3g}, {p:.3g} ({n})" for of, (n, m, p) in v.spread.items())
            lines.append(f"  Bound/actual: {'; '.join(spread)}.")
        if v.reason:
            lines.append(f"  Outside, for instance: {v.reason}.")
    return "\n".join(lines) + _LEGEND


def _markdown(shown: pd.DataFrame) -> str:
    return shown.replace(r"\|", r"\\|", regex=True).to_markdown(index=False, disable_numparse=True)


_LEGEND = """

*Worst ratio*: the largest left side over right side of an inequality, or the largest relative deviation of an equality.
*Bound/actual*: median and 90th percentile of the right side over the left, where the left is not
rounding; below for each family, and where the bound is smaller than what it is relative to (in brackets: examples).
*Outside*: examples that do not meet the assumptions; they never count as holding. Every claim has a false, stronger
twin that the same number of examples must refute, or its verdict is `no teeth`. In brackets: the source of a claim,
with its keys in `references.bib` where it was published.
"""


def to_latex(verdicts: list[Verdict]) -> str:
    """A booktabs table without the statements, whose symbols LaTeX would need spelt out; its sources in a comment."""
    shown = frame(verdicts).drop(columns=["statement", "assumptions", "families"])
    above = latex.Heading("Claims and their verdicts.", "tab:claims")
    keys = ",".join(work.key for work in cited(v.id for v in verdicts))
    sources = f"% its sources, in references.bib: \\cite{{{keys}}}\n" if keys else ""
    return latex.NEEDS + sources + latex.table(shown, above, "lrrrrlr")


def bound_points() -> pd.DataFrame:
    """Actual error of restarted JFB and its bound (C6) over depth K, for R = 0, 1, 3, on four maps.

    Returns:
        Columns ``map``, ``R``, ``K``, ``error`` and ``bound``, both relative to ``‖g_DEQ‖`` and not below 1e-14.
    """
    shown: dict[str, Case] = {
        "isotropic, L = 0.8": isotropic(3, 0.8, 0),
        "scaling, L = 0.8": scaling(0.8, 0.5, 3.0),
        "tanh, L = 0.9": tanh(4, 3, 0.9, 3),
        "network, L = 0.9": network(4, 0.9, 5),
    }
    rows = []
    for name, case in shown.items():
        e = exact(case)
        for R in (0, 1, 3):
            for K in range(1, 41):
                sides = {"error": error(case, K, R), "bound": restarted_bound(case, e, K, R).total}
                relative = {side: max(value / norm(e.gradient), ROUNDING) for side, value in sides.items()}
                rows.append({"map": name, "R": R, "K": K} | relative)
    return pd.DataFrame(rows)


def points_json(points: pd.DataFrame) -> str:
    """``bound_points`` as JSON: an object a line, six digits."""
    lines = [
        json.dumps(row | {side: float(f"{row[side]:.6g}") for side in ("error", "bound")})
        for row in points.to_dict("records")
    ]
    return "[\n" + ",\n".join(lines) + "\n]\n"


def error_against_bound(points: pd.DataFrame) -> Figure:
    """The figure of ``bound_points``, a column a map."""
    data = points.melt(["map", "R", "K"], ["error", "bound"], "side").astype({"R": str})
    shown = list(points["map"].unique())
    figure, axes = plt.subplots(
        1, len(shown), figsize=(3.6 * len(shown), 3.5), sharey=True, layout="constrained"
    )
    for ax, name in zip(axes, shown, strict=True):
        part = data[data["map"] == name]
        sns.lineplot(
            part, x="K", y="value", hue="R", style="side", palette="colorblind", ax=ax, legend=ax is axes[-1]
        )
        ax.set(yscale="log", title=name, xlabel="recorded layers K", ylabel="error / ‖g_DEQ‖")
        ax.grid(alpha=0.3)
    sns.move_legend(axes[-1], "center left", bbox_to_anchor=(1.02, 0.5), frameon=False)
    return figure


def write(verdicts: list[Verdict], findings: list[Finding], folder: Path) -> list[Path]:
    """Write ``verdicts.md``, ``.tex`` and ``.json``, ``references.bib``, and ``error-against-bound``, also drawn."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {
        "verdicts.md": to_markdown(verdicts, findings),
        "verdicts.json": to_json(verdicts, findings),
        "references.bib": to_bibtex(cited([*(v.id for v in verdicts), *(f.claim for f in findings)])),
    }
    if verdicts:
        texts["verdicts.tex"] = to_latex(verdicts)
    written = [folder / name for name in texts]
    for file, text in zip(written, texts.values(), strict=True):
        write_atomically(file, text)
    mpl.use("agg")
    points = bound_points()
    written.append(folder / "error-against-bound.json")
    write_atomically(written[-1], points_json(points))
    return written + save(error_against_bound(points), "error-against-bound", folder)
