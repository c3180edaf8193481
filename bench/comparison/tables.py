"""A comparison as tables of text, for a terminal, Markdown and a page."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import pandas as pd

from ..analysis.tidy import Place
from ..records.record import Record
from .change import Aspect, Difference, Outcome
from .compare import Comparison
from .significance import Interval
from .timing import GeometricMeans

QUIET = frozenset({Outcome.SAME, Outcome.NOISE})
"""Verdicts whose rows only the full tables have."""
TITLES = {
    Aspect.VALUES: "Values beyond their tolerance",
    Aspect.TIME: "Time of a step",
    Aspect.MEMORY: "Memory and counts",
    Aspect.QUALITY: "Quality",
}
EVERYTHING = "all, geometric mean"
Key = tuple[str, Place | None, int | None]


@dataclass(frozen=True, slots=True)
class ComparedRow:
    """A number of a cell, and what each reference says of it; ``None`` where it has nothing."""

    quantity: str
    place: Place | None
    seed: int | None
    changes: tuple[Difference | None, ...]

    @property
    def quiet(self) -> bool:
        """Whether nothing has moved against any reference."""
        return all(change is None or change.verdict in QUIET for change in self.changes)


def compared_rows(comparisons: Sequence[Comparison], part: Aspect) -> list[ComparedRow]:
    """The rows of a part, in the order of the first reference that has each."""
    found: dict[Key, list[Difference | None]] = {}
    for place, comparison in enumerate(comparisons):
        for change in comparison.changes:
            if change.part == part:
                key = (change.quantity, change.place, change.seed)
                found.setdefault(key, [None] * len(comparisons))[place] = change
    return [ComparedRow(*key, tuple(changes)) for key, changes in found.items()]


def reference_names(comparisons: Sequence[Comparison]) -> list[str]:
    """What the references are called: the last part of their folders where that tells them apart."""
    labels = [comparison.reference.label for comparison in comparisons]
    short = [Path(label).name or label for label in labels]
    return short if len(set(short)) == len(short) else labels


def verdicts(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """How many numbers of each part got which verdict, a row a reference and part."""
    found = []
    for name, comparison in zip(reference_names(comparisons), comparisons, strict=True):
        for part in Aspect:
            counted = Counter(change.verdict for change in comparison.changes if change.part == part)
            if part == Aspect.VALUES:
                held = sum(column.cells - column.beyond for column in comparison.columns)
                counted[Outcome.SAME] = held
            if counted.total():
                found.append({"against": name, "part": str(part)} | {str(v): counted[v] for v in Outcome})
    return pd.DataFrame(found)


def held_values(comparison: Comparison) -> pd.DataFrame:
    """What of the values was held against the reference, a row a column."""
    return pd.DataFrame(
        [
            {
                "column": column.name,
                "tolerance": column.tolerance,
                "cells": column.cells,
                "largest difference": f"{column.largest:.2g}",
                "beyond": column.beyond,
            }
            for column in comparison.columns
        ]
    )


def overall(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """The time over all cells and those of each task: a row each, and what moved over all of them in words."""
    found = []
    for name, comparison in zip(reference_names(comparisons), comparisons, strict=True):
        for total in comparison.overall:
            found.append(
                {
                    "against": name,
                    "task": total.task or EVERYTHING,
                    "cells": total.cells,
                    "milliseconds": interval_text(total.milliseconds),
                    "the machine": interval_text(total.machine),
                    "the code": interval_text(total.code),
                    "what moved": "" if total.task else moved(comparison, total),
                }
            )
    return pd.DataFrame(found)


def moved(comparison: Comparison, total: GeometricMeans) -> str:
    """What of the time over all cells has moved, in words."""
    told = []
    if total.machine.excludes(1.0):
        same = (
            len({_sources(r) for run in (comparison.run, comparison.reference) for r in run.of("cost")}) == 1
        )
        # The floor applies the same operators as the solvers do, with the same libraries.
        who = "the machine" if same else "the machine, its libraries or the operators"
        told.append(f"{who}: {'slower' if total.machine.value > 1 else 'faster'}")
    mean = next(c for c in comparison.changes if c.part == Aspect.TIME and c.place is None)
    if mean.verdict not in QUIET:
        told.append(f"the code: {mean.why}")
    return "; ".join(told) or "nothing"


def _sources(record: Record) -> tuple[object, ...]:
    versions = record.provenance.get("versions", {})
    return (record.provenance.get("fingerprint"), *sorted(map(str, versions.items())))


def interval_text(found: Interval) -> str:
    """``1.70 (1.62 to 1.79)``."""
    return f"{found.value:.3f} ({found.low:.3f} to {found.high:.3f})"


def comparison_table(
    comparisons: Sequence[Comparison], part: Aspect, shown: Iterable[ComparedRow]
) -> pd.DataFrame:
    """Rows of a part as text: what each is of, its number here, and what the reference says, or each of several."""
    several = len(comparisons) > 1
    solvers = not comparisons[0].columns
    found = []
    for row in shown:
        task, crop, batch, solver = row.place or (EVERYTHING, 0, 0, "")
        line = {"task": task, "size": f"{crop}² × {batch}" if row.place else ""}
        if not solvers:
            line["solver"] = solver
        if part == Aspect.VALUES:
            line["seed"] = "" if row.seed is None else str(row.seed)
        if part != Aspect.TIME:
            line["what"] = row.quantity
        line["here"] = next((five_digits(c.found) for c in row.changes if c is not None), "")
        for name, change in zip(reference_names(comparisons), row.changes, strict=True):
            if several:  # side by side there is room for no more
                line[f"against {name}"] = f"{_change(change)} {change.verdict}".strip() if change else ""
            else:
                line |= comparison_columns(change, part, solvers)
        found.append(line)
    return pd.DataFrame(found).rename(columns={"here": "ms here"} if part == Aspect.TIME else {})


def comparison_columns(change: Difference | None, part: Aspect, solvers: bool) -> dict[str, str]:
    """What one reference, or with ``solvers`` the other solver, says of a number, by the titles of its columns."""
    if part == Aspect.TIME:
        machine = change.machine if change else None
        code = {"ratio": _change(change) if change else ""}
        if not solvers:
            code = {
                "the machine ×": "" if machine is None else f"{machine:.3f}",
                "the code ×": code["ratio"],
            }
        return {
            "ms there": five_digits(change.expected) if change else "",
            **code,
            "verdict": str(change.verdict) if change else "",
            "why": change.why if change else "",
        }
    return {
        "there": five_digits(change.expected) if change else "",
        "change": _change(change) if change else "",
        "verdict": str(change.verdict) if change else "",
        "why": change.why if change else "",
    }


def _change(change: Difference) -> str:
    if change.change is None:
        return ""
    if change.ratio:
        text = f"{change.change:.3f}" if change.low is not None else f"{change.change:.4g} ×"
        between = f" ({change.low:.3f} to {change.high:.3f})" if change.low is not None else ""
        return text + between
    between = f" ({change.low:+.3f} to {change.high:+.3f})" if change.low is not None else ""
    return f"{change.change:+.3g}" + between


def five_digits(number: float | None) -> str:
    """A number to five digits; empty for none, and for what is not one."""
    return "" if number is None or math.isnan(number) else f"{number:.5g}"


def long(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """Every change with all of its numbers, a row each; the table of ``compare.csv``."""
    found = []
    for name, comparison in zip(reference_names(comparisons), comparisons, strict=True):
        for change in comparison.changes:
            task, crop, batch, solver = change.place or (EVERYTHING, None, None, "")
            rest = {f.name: getattr(change, f.name) for f in fields(change) if f.name != "place"}
            place = {"task": task, "crop": crop, "batch": batch, "solver": solver}
            found.append({"against": name} | place | rest)
    head = [
        "against",
        "task",
        "crop",
        "batch",
        "solver",
        *(f.name for f in fields(Difference) if f.name != "place"),
    ]
    return pd.DataFrame(found, columns=head).astype({"crop": "Int64", "batch": "Int64", "seed": "Int64"})
