"""The page of a comparison: all of its rows, to be sorted and filtered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..report.cells import HtmlTable
from ..report.page import render
from . import tables
from .change import Aspect
from .compare import Comparison
from .pairing import description


@dataclass(frozen=True, slots=True)
class RunSummary:
    """Label, description and warnings of a run."""

    label: str
    description: list[str]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sections:
    """Content of the page; its template uses these names."""

    run: RunSummary
    references: list[RunSummary]
    verdicts: HtmlTable
    overall: HtmlTable
    held: list[HtmlTable]
    parts: dict[str, HtmlTable]
    moved: bool


def comparison_page(comparisons: Sequence[Comparison]) -> bytes:
    """The page of a comparison in UTF-8; the same comparison gives the same bytes."""
    run, names = comparisons[0].run, tables.reference_names(comparisons)
    parts = {str(part): tables.comparison_table(comparisons, part) for part in Aspect}
    sections = Sections(
        run=RunSummary(run.label, description(run)),
        references=[RunSummary(c.reference.label, description(c.reference), c.warnings) for c in comparisons],
        verdicts=tables.verdicts(comparisons),
        overall=tables.overall(comparisons),
        held=[
            tables.held_values(comparison, name, index)
            for index, (name, comparison) in enumerate(zip(names, comparisons, strict=True))
            if comparison.columns
        ],
        parts={part: table for part, table in parts.items() if table.rows},
        moved=not all(change.quiet for comparison in comparisons for change in comparison.changes),
    )
    title = f"{run.label} against {', '.join(side.label for side in sections.references)}"
    return render("compare.html.j2", title, {"page": sections})
