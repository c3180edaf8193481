"""The page of a comparison: all of its rows, to be sorted and filtered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..report.page import render
from ..report.page.tables import HeaderCell, HtmlTable, TableCell, number_cell, solver_cell, text_cell
from . import tables
from .change import Aspect, Difference, Outcome
from .compare import Comparison
from .pairing import description
from .tables import ComparedRow

CAPTIONS = {
    Aspect.VALUES: "Values beyond the tolerance that is stated for them, seed by seed.",
    Aspect.TIME: "Milliseconds of a training step; the ratio is that of the machine times that of the code.",
    Aspect.MEMORY: "Bytes and counts of a training step, means over seeds. They have no noise.",
    Aspect.QUALITY: "Learned operators and gradients, paired by seed and image; intervals hold all at once.",
}


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What is told of a run: what it is, and what a reader has to know of it."""

    label: str
    description: list[str]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sections:
    """What the page shows; the names are those of its template."""

    run: RunSummary
    references: list[RunSummary]
    verdicts: HtmlTable
    overall: HtmlTable
    held: list[HtmlTable]
    parts: dict[str, HtmlTable]
    moved: bool


def comparison_page(comparisons: Sequence[Comparison]) -> bytes:
    """The page of a comparison in UTF-8; the same comparison gives the same bytes."""
    run = comparisons[0].run
    sections = Sections(
        run=RunSummary(run.label, description(run), ()),
        references=[RunSummary(c.reference.label, description(c.reference), c.warnings) for c in comparisons],
        verdicts=_of_frame("table-verdicts", "How many numbers of each part got which verdict.", comparisons),
        overall=_overall(comparisons),
        held=_held(comparisons),
        parts={
            str(part): _grid(comparisons, part) for part in Aspect if tables.compared_rows(comparisons, part)
        },
        moved=any(not row.quiet for part in Aspect for row in tables.compared_rows(comparisons, part)),
    )
    title = f"{run.label} against {', '.join(side.label for side in sections.references)}"
    return render("compare.html.j2", title, {"page": sections})


def _of_frame(name: str, caption: str, comparisons: Sequence[Comparison]) -> HtmlTable:
    frame = tables.verdicts(comparisons)
    heads = [
        HeaderCell("against"),
        HeaderCell("part", header=True),
        *(HeaderCell(str(v), number=True) for v in Outcome),
    ]
    rows = [
        (
            text_cell(r["against"]),
            text_cell(r["part"]),
            *(number_cell(r[str(v)], str(r[str(v)])) for v in Outcome),
        )
        for r in frame.to_dict("records")
    ]
    return HtmlTable(name, caption, tuple(heads), tuple(rows))


def _overall(comparisons: Sequence[Comparison]) -> HtmlTable:
    frame = tables.overall(comparisons)
    heads = tuple(HeaderCell(str(title), header=title == "task") for title in frame.columns)
    rows = tuple(tuple(text_cell(value) for value in r.values()) for r in frame.to_dict("records"))
    return HtmlTable("table-overall", "Geometric means over all cells, with 95 % intervals.", heads, rows)


def _held(comparisons: Sequence[Comparison]) -> list[HtmlTable]:
    grids = []
    for place, (name, comparison) in enumerate(
        zip(tables.reference_names(comparisons), comparisons, strict=True)
    ):
        if not comparison.columns:
            continue
        heads = (
            HeaderCell("column", header=True),
            HeaderCell("tolerance"),
            *(HeaderCell(title, number=True) for title in ("cells", "largest difference", "beyond")),
        )
        rows = [
            (
                text_cell(column.name),
                text_cell(column.tolerance),
                number_cell(column.cells),
                number_cell(column.largest, f"{column.largest:.2g}"),
                number_cell(column.beyond),
            )
            for column in comparison.columns
        ]
        grids.append(HtmlTable(f"table-held-{place}", f"Values held against {name}.", heads, tuple(rows)))
    return grids


def _grid(comparisons: Sequence[Comparison], part: Aspect) -> HtmlTable:
    solvers = not comparisons[0].columns
    shown = sorted(
        tables.compared_rows(comparisons, part), key=lambda row: row.quiet
    )  # what has moved, first
    heads = [
        HeaderCell("task", header=solvers),
        HeaderCell("size", shown=len({_size(row) for row in shown}) > 1),
    ]
    heads += [] if solvers else [HeaderCell("estimator", header=True)]
    heads += [HeaderCell("seed", number=True)] if part == Aspect.VALUES else []
    heads += [] if part == Aspect.TIME else [HeaderCell("what")]
    heads.append(HeaderCell("ms here" if part == Aspect.TIME else "here", number=True))
    for name in tables.reference_names(comparisons):
        prefix = f"{name}: " if len(comparisons) > 1 else ""
        for title in tables.comparison_columns(None, part, solvers):
            heads.append(HeaderCell(prefix + title, number=title not in ("verdict", "why")))
    rows = [_cells(row, part, solvers) for row in shown]
    return HtmlTable(f"table-{part}", CAPTIONS[part], tuple(heads), tuple(rows), by="" if solvers else "task")


def _size(row: ComparedRow) -> str:
    return f"{row.place[1]}² × {row.place[2]}" if row.place else ""


def _cells(row: ComparedRow, part: Aspect, solvers: bool) -> tuple[TableCell, ...]:
    task, solver = (row.place[0], row.place[3]) if row.place else (tables.EVERYTHING, "")
    cells = [text_cell(task, code=row.place is not None), text_cell(_size(row))]
    cells += [] if solvers else [solver_cell(solver) if solver else text_cell("")]
    cells += [number_cell(row.seed, str(row.seed))] if part == Aspect.VALUES else []
    cells += [] if part == Aspect.TIME else [text_cell(row.quantity)]
    here = next((change.found for change in row.changes if change is not None), None)
    cells.append(number_cell(here, tables.five_digits(here)))
    for change in row.changes:
        cells += _of(change, part, solvers)
    return tuple(cells)


def _of(change: Difference | None, part: Aspect, solvers: bool) -> list[TableCell]:
    texts = tables.comparison_columns(change, part, solvers)
    values = (
        {
            "ms there": change.expected,
            "there": change.expected,
            "the machine ×": change.machine,
            "the code ×": change.change,
            "change": change.change,
            "ratio": change.change,
        }
        if change
        else {}
    )
    return [
        TableCell(text, change.verdict, best=not _quiet(change))
        if title == "verdict" and change
        else text_cell(text)
        if title in ("verdict", "why")
        else number_cell(values.get(title), text)
        for title, text in texts.items()
    ]


def _quiet(change: Difference) -> bool:
    return change.verdict in tables.QUIET
