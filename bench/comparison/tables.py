"""Tables of a comparison, each built once for the page, for Markdown and for a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import pandas as pd

from ..analysis.tidy import Place
from ..records.record import Record
from ..report.cells import HeaderCell, HtmlTable, TableCell, number_cell, solver_cell, text_cell
from .change import Aspect, Difference, Outcome
from .compare import Comparison
from .significance import Interval
from .timing import GeometricMeans

TITLES = {
    Aspect.VALUES: "Values beyond their tolerance",
    Aspect.TIME: "Time of a step",
    Aspect.MEMORY: "Memory and counts",
    Aspect.QUALITY: "Quality",
}
CAPTIONS = {
    Aspect.VALUES: "Values beyond their tolerance, seed by seed.",
    Aspect.TIME: "Milliseconds of a training step; their ratio is the product of the machine's and the code's.",
    Aspect.MEMORY: "Bytes and counts of a training step, means over seeds. They have no noise.",
    Aspect.QUALITY: "Learned operators and gradients, paired by seed and image; intervals hold all at once.",
}
EVERYTHING = "all, geometric mean"


@dataclass(frozen=True, slots=True)
class ComparedRow:
    """A number of a cell and its change against each reference; ``None`` if a reference does not have it."""

    quantity: str
    place: Place | None
    seed: int | None
    changes: tuple[Difference | None, ...]

    @property
    def quiet(self) -> bool:
        """Whether the number has moved against no reference."""
        return all(change is None or change.quiet for change in self.changes)

    @property
    def size(self) -> str:
        """Crop and batch; empty for a mean over all cells."""
        return f"{self.place[1]}² × {self.place[2]}" if self.place else ""


def compared_rows(comparisons: Sequence[Comparison], part: Aspect) -> list[ComparedRow]:
    """The rows of an aspect, in the order of the first reference that has each."""
    rows: dict[tuple[str, Place | None, int | None], list[Difference | None]] = {}
    for index, comparison in enumerate(comparisons):
        for change in comparison.changes:
            if change.part == part:
                key = (change.quantity, change.place, change.seed)
                rows.setdefault(key, [None] * len(comparisons))[index] = change
    return [ComparedRow(*key, tuple(changes)) for key, changes in rows.items()]


def reference_names(comparisons: Sequence[Comparison]) -> list[str]:
    """Names of the references: the last part of their folders if that distinguishes them."""
    labels = [comparison.reference.label for comparison in comparisons]
    short = [Path(label).name or label for label in labels]
    return short if len(set(short)) == len(short) else labels


def _named(comparisons: Sequence[Comparison]) -> list[tuple[str, Comparison]]:
    return list(zip(reference_names(comparisons), comparisons, strict=True))


def verdicts(comparisons: Sequence[Comparison]) -> HtmlTable:
    """How many numbers of each aspect got which verdict, a row per reference and aspect."""
    rows = []
    for name, comparison in _named(comparisons):
        for part in Aspect:
            counts = Counter(change.verdict for change in comparison.changes if change.part == part)
            if part == Aspect.VALUES:
                counts[Outcome.SAME] = sum(column.cells - column.beyond for column in comparison.columns)
            if counts.total():
                numbers = [number_cell(counts[verdict], str(counts[verdict])) for verdict in Outcome]
                rows.append((text_cell(name), text_cell(part), *numbers))
    heads = [HeaderCell("against"), HeaderCell("part", header=True)]
    heads += [HeaderCell(verdict, number=True) for verdict in Outcome]
    caption = "How many numbers of each part got which verdict."
    return HtmlTable("table-verdicts", caption, tuple(heads), tuple(rows))


def held_values(comparison: Comparison, name: str, index: int = 0) -> HtmlTable:
    """Metrics that were compared as values with the reference of that name and index."""
    heads = (
        HeaderCell("column", header=True),
        HeaderCell("tolerance"),
        *(HeaderCell(title, number=True) for title in ("cells", "largest difference", "beyond")),
    )
    rows = [
        (
            text_cell(column.name),
            text_cell(column.tolerance),
            number_cell(column.cells, str(column.cells)),
            number_cell(column.largest, f"{column.largest:.2g}"),
            number_cell(column.beyond, str(column.beyond)),
        )
        for column in comparison.columns
    ]
    return HtmlTable(f"table-held-{index}", f"Values held against {name}.", heads, tuple(rows))


def overall(comparisons: Sequence[Comparison]) -> HtmlTable:
    """Time over all cells and over each task, a row each, and what has moved over all of them."""
    titles = ("against", "task", "cells", "milliseconds", "the machine", "the code", "what moved")
    rows = [
        tuple(
            map(
                text_cell,
                (
                    name,
                    means.task or EVERYTHING,
                    means.cells,
                    *map(_interval_text, (means.milliseconds, means.machine, means.code)),
                    "" if means.task else _moved(comparison, means),
                ),
            )
        )
        for name, comparison in _named(comparisons)
        for means in comparison.overall
    ]
    heads = tuple(HeaderCell(title, header=title == "task") for title in titles)
    caption = "Geometric means over all cells, with 95 % intervals."
    return HtmlTable("table-overall", caption, heads, tuple(rows))


def _moved(comparison: Comparison, means: GeometricMeans) -> str:
    moved = []
    if means.machine.excludes(1.0):
        timings = [record for run in (comparison.run, comparison.reference) for record in run.of("cost")]
        same = len({_sources(record) for record in timings}) == 1
        # The bare loop applies the same operators as the solvers do, with the same libraries.
        who = "the machine" if same else "the machine, its libraries or the operators"
        moved.append(f"{who}: {'slower' if means.machine.value > 1 else 'faster'}")
    mean = next(c for c in comparison.changes if c.part == Aspect.TIME and c.place is None)
    if not mean.quiet:
        moved.append(f"the code: {mean.why}")
    return "; ".join(moved) or "nothing"


def _sources(record: Record) -> tuple[object, ...]:
    versions = record.provenance.get("versions", {})
    return (record.provenance.get("fingerprint"), *sorted(map(str, versions.items())))


def _interval_text(interval: Interval) -> str:
    return f"{interval.value:.3f} ({interval.low:.3f} to {interval.high:.3f})"


def comparison_table(comparisons: Sequence[Comparison], part: Aspect, moved_only: bool = False) -> HtmlTable:
    """The rows of an aspect, those that have moved first.

    Args:
        comparisons: of one run.
        part: the aspect.
        moved_only: leave out the other rows, and give each of several references a single column.
    """
    two_solvers, timed = not comparisons[0].columns, part == Aspect.TIME
    rows = sorted(compared_rows(comparisons, part), key=lambda row: row.quiet)
    rows = [row for row in rows if not row.quiet] if moved_only else rows
    heads = [
        HeaderCell("task", header=two_solvers),
        HeaderCell("size", shown=len({row.size for row in rows}) > 1),
        *([] if two_solvers else [HeaderCell("solver", header=True)]),
        *([HeaderCell("seed", number=True)] if part == Aspect.VALUES else []),
        *([] if timed else [HeaderCell("what")]),
        HeaderCell("ms here" if timed else "here", number=True),
    ]
    brief = moved_only and len(comparisons) > 1
    for name in reference_names(comparisons):
        if brief:
            heads.append(HeaderCell(f"against {name}"))
            continue
        prefix = f"{name}: " if len(comparisons) > 1 else ""
        for title in _change_cells(None, timed, two_solvers):
            heads.append(HeaderCell(prefix + title, number=title not in ("verdict", "why")))
    cells = []
    for row in rows:
        task, solver = (row.place[0], row.place[3]) if row.place else (EVERYTHING, "")
        here = next((change.found for change in row.changes if change is not None), None)
        line = [
            text_cell(task, code=row.place is not None),
            text_cell(row.size),
            *([] if two_solvers else [solver_cell(solver) if solver else text_cell("")]),
            *([number_cell(row.seed, str(row.seed))] if part == Aspect.VALUES else []),
            *([] if timed else [text_cell(row.quantity)]),
            _five_digits(here),
        ]
        for change in row.changes:
            if brief:
                line.append(text_cell(f"{_change_text(change)} {change.verdict}".strip() if change else ""))
            else:
                line += _change_cells(change, timed, two_solvers).values()
        cells.append(tuple(line))
    by = "" if two_solvers else "task"
    return HtmlTable(f"table-{part}", CAPTIONS[part], tuple(heads), tuple(cells), by=by)


def _change_cells(change: Difference | None, timed: bool, two_solvers: bool) -> dict[str, TableCell]:
    """Cells of one reference, or of the other solver, by the titles of their columns."""
    ratio = number_cell(change.change, _change_text(change)) if change else text_cell("")
    cells = {"ms there" if timed else "there": _five_digits(change.expected if change else None)}
    if timed and not two_solvers:
        machine = change.machine if change else None
        cells["the machine ×"] = number_cell(machine, f"{machine or 0:.3f}")
        cells["the code ×"] = ratio
    else:
        cells["ratio" if timed else "change"] = ratio
    cells["verdict"] = (
        TableCell(change.verdict, change.verdict, not change.quiet) if change else text_cell("")
    )
    cells["why"] = text_cell(change.why if change else "")
    return cells


def _change_text(change: Difference) -> str:
    value, low, high = change.change, change.low, change.high
    if value is None:
        return ""
    if low is None or high is None:
        return f"{value:.4g} ×" if change.ratio else f"{value:+.3g}"
    if change.ratio:
        return f"{value:.3f} ({low:.3f} to {high:.3f})"
    return f"{value:+.3g} ({low:+.3f} to {high:+.3f})"


def _five_digits(number: float | None) -> TableCell:
    return number_cell(number, None if number is None else f"{number:.5g}")


def long(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """Every change with all of its numbers, a row each; the table of ``compare.csv``."""
    names = [field.name for field in fields(Difference) if field.name != "place"]
    rows = []
    for name, comparison in _named(comparisons):
        for change in comparison.changes:
            where = change.place or (EVERYTHING, None, None, "")
            rows.append((name, *where, *(getattr(change, field) for field in names)))
    table = pd.DataFrame(rows, columns=["against", "task", "crop", "batch", "solver", *names])
    return table.astype({"crop": "Int64", "batch": "Int64", "seed": "Int64"})
