"""The verdict table: Markdown, LaTeX and JSON."""

# The stubs of pandas and seaborn know neither the types of columns nor those of rows.
# pyright: reportArgumentType=false
from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from bench import latex
from bench.bibliography import to_bibtex
from bench.files import write_atomically
from bench.records import finite

from . import bound_figure, rows
from .mutation import Fate
from .operator import Finding
from .sources import cited
from .verify import Verdict

if TYPE_CHECKING:
    from .peers import PeerFinding

GOOD = frozenset({"holds", "assumption not met", "not met here"})
"""What does not fail a run: a statement known not to be met at a size says so, with its value and the reason."""


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
    write_atomically(folder / "mutations.md", rows.markdown(fates_frame(fates)) + "\n")
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
    write_atomically(folder / "peers.md", rows.markdown(found) + "\n")
    return folder / "peers.md"


def to_json(verdicts: list[Verdict], findings: list[Finding]) -> str:
    """All that is known: ``claims`` and ``operators``, an object each; ``null`` where a number is not finite."""
    found = {"claims": [_plain(v) for v in verdicts], "operators": [asdict(f) for f in findings]}
    return json.dumps(finite(found), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _plain(v: Verdict) -> dict[str, Any]:
    """A claim on drawn examples has neither mark nor rows."""
    told = asdict(v) | {"rows": [rows.plain(row) for row in v.rows]}
    return told if v.mark else {key: value for key, value in told.items() if key not in ("mark", "rows")}


def to_markdown(verdicts: list[Verdict], findings: list[Finding]) -> str:
    """The claims, the operators, then for each claim its twin and the example of its worst ratio."""
    lines: list[str] = []
    drawn, measured = [v for v in verdicts if not v.mark], [v for v in verdicts if v.mark]
    if drawn:
        lines += ["# Claims on instances with exact constants", "", rows.markdown(frame(drawn)), ""]
    if measured:
        lines += ["# Claims measured at fixed seeds", "", rows.markdown(rows.summary(measured)), ""]
        lines += ["Every value and its range: `README.md` and `rows.csv` in the folder of each group.", ""]
    if findings:
        lines += ["# Claims on operators", "", rows.markdown(findings_frame(findings)), ""]
    if verdicts:
        lines += ["# False twins, and where it was worst", ""]
    for v in verdicts:
        why = "Not met" if v.verdict == "not met here" else "Outside, for instance"
        keys = "".join(f"; `{work.key}`" for work in cited([v.id]))
        lines.append(f"- **{v.id}** ({v.source}{keys}). {v.twin}.")
        if v.detail:
            lines.append(f"  Worst: `{v.detail}`.")
        if v.spread:
            spread = (f"{of} {m:.3g}, {p:.3g} ({n})" for of, (n, m, p) in v.spread.items())
            lines.append(f"  Bound/actual: {'; '.join(spread)}.")
        if v.reason:
            lines.append(f"  {why}: {v.reason}.")
    return "\n".join(lines) + _LEGEND + (rows.LEGEND if measured else "")


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


def write(verdicts: list[Verdict], findings: list[Finding], folder: Path) -> list[Path]:
    """Write ``verdicts.md``, ``.tex`` and ``.json``, ``references.bib``, and the figure of C6 with the core."""
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
    of_the_core = findings or any(not v.mark for v in verdicts)
    return written + (bound_figure.write(folder) if of_the_core else [])
