"""A measured quantity: how it is read from a record, printed, ranked, compared and explained."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from statistics import mean
from typing import Any, Literal

from ..records.record import Record
from .convergence import converged
from .record_values import number


class Table(StrEnum):
    """A printed table that may have a column for a metric: the results, or past the trained depth."""

    RESULTS = "results"
    DEPTH = "depth"


@dataclass(frozen=True, slots=True)
class Column:
    """A metric as a column of a printed table.

    Attributes:
        position: columns stand in this order.
        heading: replaces the heading of the metric.
        hidden: the page of a run shows the column only once its reader asks for it.
    """

    position: int
    heading: str = ""
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class Tolerance:
    """Allowed distance of a value from its reference: ``|a − b| ≤ absolute + relative·|b|``."""

    absolute: float = 0.0
    relative: float = 0.0

    def admits(self, value: float, reference: float) -> bool:
        """Whether ``value`` is close enough. Two missing values agree; a missing one and a number do not."""
        if math.isnan(value) or math.isnan(reference):
            return math.isnan(value) and math.isnan(reference)
        if value == reference:  # infinite values too
            return True
        return abs(value - reference) <= self.absolute + self.relative * abs(reference)

    def __str__(self) -> str:
        parts = [f"{self.absolute:g}"] * bool(self.absolute) + [f"{self.relative:.0%}"] * bool(self.relative)
        return " + ".join(parts) or "exact"


@dataclass(frozen=True, slots=True)
class Metric:
    """A measured quantity; one entry of ``metrics.METRICS`` feeds tables, page, exports, comparison and docs.

    Attributes:
        name: column in the tidy table, in CSV and in Parquet; without ``images`` and ``read`` also the name of the
            number in a record.
        explanation: one sentence, in Markdown.
        title: heading of printed tables, without the unit.
        unit: of the numbers; empty for none.
        format: of a number: a format specification, or a function that returns its text.
        results, depth: its column in the printed table of that name, see ``Table``.
        better: which of two values is better; empty if neither is.
        bold: the best value of a task is printed in bold.
        paired: solvers are compared seed by seed, and those that tie with the best are printed in bold too.
        words: printed without the spread over seeds.
        over_seeds: statistic over seeds that is printed.
        spread: column that holds the spread; empty for the standard deviation over seeds.
        images: name in a record of a list with one value per image, of which the metric is the mean.
        read: computes the value from ``Record.values``.
        timed: read from the timing of a cell, which has no seeds, instead of its record of quality.
        equilibrium: name in a record of a residual; the metric is NaN if that is no residual of an equilibrium.
        tolerance: allowed difference between two runs; ``None``: not compared as a value.
        exact_at_fixed_depth: solvers of fixed depth must agree exactly.
        aspect: ``compare`` judges the metric as ``quality`` (by image, or by seed) or ``memory`` (any change counts).
        benchopt: name in benchopt's layout, after ``objective_``; empty: not exported.
    """

    name: str
    explanation: str
    title: str = ""
    unit: str = ""
    format: str | Callable[[float], str] = ".4g"
    results: Column | None = None
    depth: Column | None = None
    better: Literal["", "higher", "lower"] = ""
    bold: bool = True
    paired: bool = False
    words: bool = False
    over_seeds: Literal["mean", "max"] = "mean"
    spread: str = ""
    images: str = ""
    read: Callable[[Mapping[str, Any]], object] | None = None
    timed: bool = False
    equilibrium: str = ""
    tolerance: Tolerance | None = None
    exact_at_fixed_depth: bool = False
    aspect: Literal["", "quality", "memory"] = ""
    benchopt: str = ""

    def column(self, table: Table) -> Column | None:
        """Its column in a printed table, if any."""
        return getattr(self, table)

    def heading(self, table: Table = Table.RESULTS) -> str:
        """Heading of its column: ``PSNR (dB)``."""
        column = self.column(table)
        return (column and column.heading) or (f"{self.title} ({self.unit})" if self.unit else self.title)

    @property
    def quantity(self) -> str:
        """Name in comparisons: ``PSNR, dB``."""
        return f"{self.title}, {self.unit}" if self.unit else self.title

    def text(self, value: float) -> str:
        """A number of this metric as text."""
        return format(value, self.format) if isinstance(self.format, str) else self.format(value)

    def value(self, record: Record, timing: Record | None = None) -> Any:
        """Value of a record of quality, or of the timing of its cell; NaN if not measured."""
        source = timing if self.timed else record
        if source is None or not self._applies(record):
            return math.nan
        if self.images:
            values = [value for value in source.values.get(self.images) or [] if value is not None]
            return mean(values) if values else math.nan
        return self.read(source.values) if self.read else number(source.values, self.name)

    def image_values(self, record: Record) -> list[float | None]:
        """One value per image, ``None`` where it does not count."""
        values = record.values.get(self.images) or []
        return list(values) if self._applies(record) else [None] * len(values)

    def _applies(self, record: Record) -> bool:
        return not self.equilibrium or converged(record, self.equilibrium)
