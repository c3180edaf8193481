"""The page of a comparison: all of its rows, to be sorted and filtered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..page import render
from ..page.grids import Cell, Grid, Head, call, number, words
from . import tables
from .compare import Comparison
from .runs import description
from .tables import Row
from .verdict import Change, Part, Verdict

CAPTIONS = {
    Part.VALUES: "Values beyond the tolerance that is stated for them, seed by seed.",
    Part.TIME: "Milliseconds of a training step; the ratio is that of the machine times that of the code.",
    Part.MEMORY: "Bytes and counts of a training step, means over seeds. They have no noise.",
    Part.QUALITY: "Learned operators and gradients, paired by seed and image; intervals hold all at once.",
}


@dataclass(frozen=True, slots=True)
class Side:
    """What is told of a run: what it is, and what a reader has to know of it."""

    label: str
    description: list[str]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sections:
    """What the page shows; the names are those of its template."""

    run: Side
    references: list[Side]
    verdicts: Grid
    overall: Grid
    held: list[Grid]
    parts: dict[str, Grid]
    moved: bool


def page_of(comparisons: Sequence[Comparison]) -> bytes:
    """The page of a comparison in UTF-8; the same comparison gives the same bytes."""
    run = comparisons[0].run
    sections = Sections(
        run=Side(run.label, description(run), ()),
        references=[Side(c.reference.label, description(c.reference), c.warnings) for c in comparisons],
        verdicts=_of_frame("table-verdicts", "How many numbers of each part got which verdict.", comparisons),
        overall=_overall(comparisons),
        held=_held(comparisons),
        parts={str(part): _grid(comparisons, part) for part in Part if tables.rows(comparisons, part)},
        moved=any(not row.quiet for part in Part for row in tables.rows(comparisons, part)),
    )
    title = f"{run.label} against {', '.join(side.label for side in sections.references)}"
    return render("compare.html.j2", title, {"page": sections})


def _of_frame(name: str, caption: str, comparisons: Sequence[Comparison]) -> Grid:
    frame = tables.verdicts(comparisons)
    heads = [Head("against"), Head("part", header=True), *(Head(str(v), number=True) for v in Verdict)]
    rows = [
        (words(r["against"]), words(r["part"]), *(number(r[str(v)], str(r[str(v)])) for v in Verdict))
        for r in frame.to_dict("records")
    ]
    return Grid(name, caption, tuple(heads), tuple(rows))


def _overall(comparisons: Sequence[Comparison]) -> Grid:
    frame = tables.overall(comparisons)
    heads = tuple(Head(str(title), header=title == "task") for title in frame.columns)
    rows = tuple(tuple(words(value) for value in r.values()) for r in frame.to_dict("records"))
    return Grid("table-overall", "Geometric means over all cells, with 95 % intervals.", heads, rows)


def _held(comparisons: Sequence[Comparison]) -> list[Grid]:
    grids = []
    for place, (name, comparison) in enumerate(zip(tables.names(comparisons), comparisons, strict=True)):
        if not comparison.columns:
            continue
        heads = (
            Head("column", header=True),
            Head("tolerance"),
            *(Head(title, number=True) for title in ("cells", "largest difference", "beyond")),
        )
        rows = [
            (
                words(column.name),
                words(column.tolerance),
                number(column.cells),
                number(column.largest, f"{column.largest:.2g}"),
                number(column.beyond),
            )
            for column in comparison.columns
        ]
        grids.append(Grid(f"table-held-{place}", f"Values held against {name}.", heads, tuple(rows)))
    return grids


def _grid(comparisons: Sequence[Comparison], part: Part) -> Grid:
    solvers = not comparisons[0].columns
    shown = sorted(tables.rows(comparisons, part), key=lambda row: row.quiet)  # what has moved, first
    heads = [Head("task", header=solvers), Head("size", shown=len({_size(row) for row in shown}) > 1)]
    heads += [] if solvers else [Head("estimator", header=True)]
    heads += [Head("seed", number=True)] if part == Part.VALUES else []
    heads += [] if part == Part.TIME else [Head("what")]
    heads.append(Head("ms here" if part == Part.TIME else "here", number=True))
    for name in tables.names(comparisons):
        prefix = f"{name}: " if len(comparisons) > 1 else ""
        for title in tables.columns(None, part, solvers):
            heads.append(Head(prefix + title, number=title not in ("verdict", "why")))
    rows = [_cells(row, part, solvers) for row in shown]
    return Grid(f"table-{part}", CAPTIONS[part], tuple(heads), tuple(rows), by="" if solvers else "task")


def _size(row: Row) -> str:
    return f"{row.place[1]}² × {row.place[2]}" if row.place else ""


def _cells(row: Row, part: Part, solvers: bool) -> tuple[Cell, ...]:
    task, solver = (row.place[0], row.place[3]) if row.place else (tables.EVERYTHING, "")
    cells = [words(task, code=row.place is not None), words(_size(row))]
    cells += [] if solvers else [call(solver) if solver else words("")]
    cells += [number(row.seed, str(row.seed))] if part == Part.VALUES else []
    cells += [] if part == Part.TIME else [words(row.quantity)]
    here = next((change.found for change in row.changes if change is not None), None)
    cells.append(number(here, tables.digits(here)))
    for change in row.changes:
        cells += _of(change, part, solvers)
    return tuple(cells)


def _of(change: Change | None, part: Part, solvers: bool) -> list[Cell]:
    texts = tables.columns(change, part, solvers)
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
        Cell(text, change.verdict, best=not _quiet(change))
        if title == "verdict" and change
        else words(text)
        if title in ("verdict", "why")
        else number(values.get(title), text)
        for title, text in texts.items()
    ]


def _quiet(change: Change) -> bool:
    return change.verdict in tables.QUIET
