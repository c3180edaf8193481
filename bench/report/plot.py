"""What a plot shows. ``figures.to_figure`` draws it with matplotlib, ``vega_lite.to_vega`` for the page."""

# The stubs of pandas know neither the types of columns nor those of rows.
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false, reportReturnType=false, reportArgumentType=false
from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from ..analysis.over_seeds import over_all
from ..config.call_syntax import arguments
from .family_style import FamilyStyle, Fill

LONGEST = 18
"""Characters of a name that stands beside a point; compositions are longer, and are in the tables."""
Styles = Mapping[str, FamilyStyle]
Unit = Literal["", "%", "²", "×"]


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis with final limits.

    Attributes:
        title: beside it.
        low, high: its limits.
        log: whether it is logarithmic.
        unit: behind its numbers: ``%`` shows shares in per cent, ``²`` pixels as a square.
        fixed: places of its numbers; otherwise ``ticks`` chooses them if it is logarithmic, and the renderer if not.
        clip: a figure, where nobody can point at a mark, draws smaller values here.
    """

    title: str
    low: float
    high: float
    log: bool = True
    unit: Unit = ""
    fixed: tuple[float, ...] = ()
    clip: float = 0.0

    def ticks(self) -> list[float]:
        """Places of the numbers; none for a linear axis without ``fixed``."""
        return list(self.fixed) or (log_ticks(self.low, self.high) if self.log else [])

    def label(self, value: float) -> str:
        """The text of a number on the axis."""
        if self.unit == "²":
            return f"{math.sqrt(value):g}²"
        if self.unit == "%":
            return f"{100 * value:g} %".replace("e-0", "e-")
        return f"{value:g} {self.unit}".strip()


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """Marks of one kind.

    Attributes:
        kind: ``points`` and ``lines`` (one a solver) have the colour of their family; ``guides`` are grey, ``rings``
            stand around points, and ``names`` beside them.
        rows: columns ``x`` and ``y``; ``family`` and ``solver`` of points and lines; ``line`` of guides, which says
            which rows one line joins; ``family`` and ``name`` of names.
        fill: of points.
        line: how lines and guides are drawn.
        steps: a guide goes right before it goes down.
        small: the points stand on a line.
        label: text at the right end of a guide.
        legend: text in the legend of a figure.
        tooltip: columns of ``rows`` with the text that a page shows beside a point.
    """

    kind: Literal["points", "lines", "guides", "rings", "names"]
    rows: pd.DataFrame
    fill: Fill = "family"
    line: Literal["solid", "thin", "dashed", "dotted"] = "solid"
    steps: bool = False
    small: bool = False
    label: str = ""
    legend: str = ""
    tooltip: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """Marks in one pair of axes; ``description`` says in words what is seen."""

    title: str
    x: Axis
    y: Axis
    layers: tuple[Layer, ...]
    description: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Plot:
    """A figure of several panels.

    Attributes:
        name: of its files.
        grid: its panels, row by row; ``None`` leaves a place empty.
        styles: of the families of its points and lines.
        legend: title of the legend.
        size: of a panel, in inches.
    """

    name: str
    grid: tuple[tuple[Panel | None, ...], ...]
    styles: Styles
    legend: str = ""
    size: tuple[float, float] = (4.6, 3.7)

    @property
    def panels(self) -> list[Panel]:
        """The panels, row by row, without empty places."""
        return [panel for row in self.grid for panel in row if panel is not None]


def wrapped(panels: Iterable[Panel], columns: int = 3) -> tuple[tuple[Panel | None, ...], ...]:
    """Panels in rows of at most ``columns``."""
    every: list[Panel | None] = [*panels]
    columns = min(columns, len(every)) or 1
    every += [None] * (-len(every) % columns)
    return tuple(tuple(every[i : i + columns]) for i in range(0, len(every), columns))


def log_axis(
    title: str,
    values: Iterable[float],
    *,
    margin: float = 0.08,
    unit: Unit = "",
    fixed: Iterable[float] = (),
    clip: float = 0.0,
) -> Axis:
    """A logarithmic axis around the positive ``values``, with ``margin`` of its length on both sides."""
    positive = [float(value) for value in values if 0 < value < math.inf]
    low, high = (min(positive), max(positive)) if positive else (0.1, 1.0)
    factor = (high / low) ** margin if high > low else 2.0
    return Axis(title, low / factor, high * factor, unit=unit, fixed=tuple(fixed), clip=clip)


def linear_axis(
    title: str, values: Iterable[float], *, below: float = math.inf, margin: float = 0.05
) -> Axis:
    """A linear axis around the finite ``values``, of which those more than ``below`` under the largest are cut off."""
    finite = [float(value) for value in values if math.isfinite(value)]
    high = max(finite, default=1.0)
    low = max(min(finite, default=0.0), high - below)
    room = margin * (high - low) if high > low else 0.5
    return Axis(title, low - room, high + room, log=False)


def guide(points: Iterable[tuple[float, float]]) -> pd.DataFrame:
    """The rows of a guide through ``points``."""
    return pd.DataFrame([*points], columns=["x", "y"]).assign(line=0)


def level(
    y: float, x: Axis, label: str = "", legend: str = "", line: Literal["dashed", "dotted"] = "dashed"
) -> Layer:
    """A horizontal guide."""
    return Layer("guides", guide([(x.low, y), (x.high, y)]), line=line, label=label, legend=legend)


def means_of(frame: pd.DataFrame) -> pd.DataFrame:
    """Means over the seeds of a task; ``cost`` is applications + VJPs.

    NaN where a seed of the task is missing, failed, or has no value: a solver that fails on the harder seed must not
    look better for it.
    """
    good = frame[frame["status"] == "ok"]
    numbers = list(good.select_dtypes("number").columns.drop(["seed", "crop", "batch"]))
    means = over_all(
        good, ["task", "crop", "batch", "heading", "solver", "family", "peer"], numbers, among=frame
    )
    return means.assign(cost=means["applications"] + means["vjps"])


def at(rows: pd.DataFrame, x: str, y: str) -> pd.DataFrame:
    """Rows with the places of their marks."""
    return rows.assign(x=rows[x].astype(float), y=rows[y].astype(float))


def by_heading(rows: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """The rows of each heading, in order."""
    return ((str(heading), part) for heading, part in rows.groupby("heading", sort=False))


def names(rows: pd.DataFrame) -> Layer:
    """The arguments of solvers beside their points; the colour says the rest."""
    named = rows.assign(name=rows["solver"].map(arguments))
    return Layer("names", named[named["name"].str.len() <= LONGEST])


def ends(rows: pd.DataFrame) -> pd.DataFrame:
    """The last row of each solver."""
    return rows.groupby("solver", sort=False).tail(1)


def log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten from ``low`` to ``high``, at most seven; 1, 2 and 5 times them where they are few.

    An interval without two of these has its ends, rounded inward to two digits if that leaves two.
    """
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    every = max(1, math.ceil((last - first + 1) / 7))
    if last - first >= 2:
        return [10.0**power for power in range(first, last + 1) if power % every == 0]
    several = [part * 10.0**power for power in range(first - 1, last + 1) for part in (1, 2, 5)]
    inside = [value for value in several if low * 0.99 <= value <= high * 1.01]
    if len(inside) > 1:
        return inside
    unit = 10.0 ** (math.floor(math.log10(low)) - 1)
    rounded = [float(f"{k * unit:.2g}") for k in (math.ceil(low / unit), math.floor(high / unit))]
    return rounded if low <= rounded[0] < rounded[1] <= high else [low, high]
