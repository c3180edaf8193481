"""The tables of verdicts: Markdown, LaTeX and JSON."""

# The stubs of pandas do not know the types of columns.
# pyright: reportArgumentType=false
from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from bench.report import latex
from bench.report.bibliography import to_bibtex
from bench.utils.atomic_files import write_atomically
from bench.utils.json_values import finite

from ..engine import ClaimVerdict, ExperimentVerdict, Verdict
from ..engine.verdict import NOT_MET_HERE
from ..operators.operator_claims import OperatorCheck
from .bound_figure import write_bound_figure
from .experiment_tables import EXPERIMENT_LEGEND, experiment_frame, markdown_table, measurement_json
from .operator_tables import operator_frame
from .sources import cited


def split_verdicts(verdicts: Sequence[Verdict]) -> tuple[list[ClaimVerdict], list[ExperimentVerdict]]:
    """Separate the verdicts on claims from those on experiments."""
    return (
        [v for v in verdicts if isinstance(v, ClaimVerdict)],
        [v for v in verdicts if isinstance(v, ExperimentVerdict)],
    )


def claim_frame(verdicts: Sequence[Verdict]) -> pd.DataFrame:
    """Verdicts, one row each, as text. Of an experiment, ``examples`` counts the measurements that have a range."""
    rows: list[dict[str, object]] = []
    for v in verdicts:
        families, examples, outside = _counts(v)
        rows.append(
            {
                "claim": v.id,
                "statement": v.statement,
                "assumptions": v.assumptions,
                "families": families,
                "examples": examples,
                "outside": outside,
                "worst ratio": f"{v.worst:.3g}" if examples else "—",
                "bound/actual": _format_effectivity(v),
                "verdict": v.verdict,
                "seconds": f"{v.seconds:.1f}",
            }
        )
    return pd.DataFrame(rows)


def _counts(v: Verdict) -> tuple[str, int, int]:
    """Families of instances, number of examples, and number outside the assumptions."""
    if isinstance(v, ClaimVerdict):
        return v.families, v.examples, v.outside
    assert isinstance(v, ExperimentVerdict)
    return "an experiment", v.asserted, int(not v.measurements)


def _format_effectivity(v: Verdict) -> str:
    """Median and 90th percentile."""
    if not isinstance(v, ClaimVerdict) or math.isnan(v.median):
        return "—"
    return f"{v.median:.3g}, {v.ninetieth:.3g}"


def verdicts_json(verdicts: Sequence[Verdict], checks: list[OperatorCheck]) -> str:
    """Verdicts (``claims``) and checks on operators (``operators``) as JSON, with ``null`` for nan and infinity."""
    content = {"claims": [_verdict_json(v) for v in verdicts], "operators": [asdict(c) for c in checks]}
    return json.dumps(finite(content), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _verdict_json(v: Verdict) -> dict[str, Any]:
    """A verdict with the keys of the stored files, which are the same for claims and experiments."""
    families, examples, outside = _counts(v)
    claim = v if isinstance(v, ClaimVerdict) else None
    content: dict[str, Any] = {
        "id": v.id,
        "statement": v.statement,
        "assumptions": v.assumptions,
        "source": v.source,
        "verdict": v.verdict,
        "families": families,
        "examples": examples,
        "outside": outside,
        "reason": v.reason,
        "worst": v.worst,
        "median": claim.median if claim else math.nan,
        "ninetieth": claim.ninetieth if claim else math.nan,
        "spread": claim.spread if claim else {},
        "detail": v.detail,
        "twin": v.negative_control,
        "seconds": v.seconds,
    }
    if claim is not None and claim.worst_by_family:
        content["worst_by_family"] = claim.worst_by_family
    if isinstance(v, ExperimentVerdict):
        content["mark"] = v.evidence.value
        content["rows"] = [measurement_json(m) for m in v.measurements]
    return content


def verdicts_markdown(verdicts: Sequence[Verdict], checks: list[OperatorCheck]) -> str:
    """Tables of claims, experiments and operators, then for each verdict its negative control and worst example."""
    lines: list[str] = []
    claims, experiments = split_verdicts(verdicts)
    if claims:
        lines += ["# Claims on instances with exact constants", "", markdown_table(claim_frame(claims)), ""]
    if experiments:
        lines += ["# Claims measured at fixed seeds", "", markdown_table(experiment_frame(experiments)), ""]
        lines += ["Every value and its range: `README.md` and `rows.csv` in the folder of each group.", ""]
    if checks:
        lines += ["# Claims on operators", "", markdown_table(operator_frame(checks)), ""]
    if verdicts:
        lines += ["# Negative controls, and the worst examples", ""]
    for v in verdicts:
        lines += _verdict_lines(v)
    return "\n".join(lines) + _LEGEND + (EXPERIMENT_LEGEND if experiments else "")


def _verdict_lines(v: Verdict) -> list[str]:
    keys = "".join(f"; `{work.key}`" for work in cited([v.id]))
    lines = [f"- **{v.id}** ({v.source}{keys}). {v.negative_control}."]
    if v.detail:
        lines.append(f"  Worst: `{v.detail}`.")
    if isinstance(v, ClaimVerdict) and v.spread:
        spread = (f"{family} {m:.3g}, {p:.3g} ({n})" for family, (n, m, p) in v.spread.items())
        lines.append(f"  Bound/actual: {'; '.join(spread)}.")
    if isinstance(v, ClaimVerdict) and v.worst_by_family:
        worst = (f"{family} {ratio:.3g}" for family, ratio in v.worst_by_family.items())
        lines.append(f"  Largest ratio found: {'; '.join(worst)}.")
    if v.reason:
        lines.append(f"  {'Not met' if v.verdict == NOT_MET_HERE else 'Outside, for instance'}: {v.reason}.")
    return lines


_LEGEND = """

*Worst ratio*: the largest ratio of the left to the right side of an inequality, or the largest relative deviation of an
equality. *Bound/actual*: median and 90th percentile of the right side over the left, if the left is not rounding; below
also for each family, and for the examples whose bound is smaller than the quantity it concerns (in brackets: number of
examples). *Outside*: examples that do not meet the assumptions; they never count as holding. Every claim has a negative
control, a false and stronger statement that as many examples must refute; otherwise its verdict is `negative control
not refuted`. In brackets: the source of a claim, with its keys in `references.bib` if it was published.
"""


def verdicts_latex(verdicts: Sequence[Verdict]) -> str:
    """A booktabs table of the verdicts, with the keys of their sources in a comment.

    Without the statements, because LaTeX would need their symbols spelt out.
    """
    table = claim_frame(verdicts).drop(columns=["statement", "assumptions", "families"])
    heading = latex.Heading("Claims and their verdicts.", "tab:claims")
    keys = ",".join(work.key for work in cited(v.id for v in verdicts))
    sources = f"% its sources, in references.bib: \\cite{{{keys}}}\n" if keys else ""
    return latex.NEEDS + sources + latex.latex_table(table, heading, "lrrrrlr")


def write_verdicts(verdicts: Sequence[Verdict], checks: list[OperatorCheck], folder: Path) -> list[Path]:
    """Write ``verdicts.md``, ``.json``, ``.tex`` and ``references.bib``, and for the core the figure of the bound."""
    folder.mkdir(parents=True, exist_ok=True)
    claims, _ = split_verdicts(verdicts)
    texts = {
        "verdicts.md": verdicts_markdown(verdicts, checks),
        "verdicts.json": verdicts_json(verdicts, checks),
        "references.bib": to_bibtex(cited([*(v.id for v in verdicts), *(c.claim for c in checks)])),
    }
    if verdicts:
        texts["verdicts.tex"] = verdicts_latex(verdicts)
    written = [folder / name for name in texts]
    for file, text in zip(written, texts.values(), strict=True):
        write_atomically(file, text)
    return written + (write_bound_figure(folder) if checks or claims else [])
