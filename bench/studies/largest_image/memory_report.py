"""Table and figure of the memory study."""

# The stubs of matplotlib do not know the types of arguments.
# pyright: reportArgumentType=false
from __future__ import annotations

import math
import statistics
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.figure import Figure

from .prediction import Line, fitted, miss
from .search import POWER
from .step import Step
from .trial import UNITS

MEMORIES = (2, 8, 24, 80)
"""GiB, of a small and a large computer or GPU."""
AXES = {2: "images", 3: "volumes"}
HEAD = (181, 217, 181)
"""Voxels of 1 mm of a head: Colin27."""


@dataclass(frozen=True, slots=True)
class Row:
    """An estimator on images or volumes.

    Attributes:
        axes: 2 or 3.
        operator, solver: calls.
        error: relative, of the gradient at the size of ``ERROR_SIDES``.
        steps: of growing sizes.
    """

    axes: int
    operator: str
    solver: str
    error: float
    steps: tuple[Step, ...]

    @property
    def line(self) -> Line:
        """The peak of memory against pixels."""
        return fitted(self.steps)

    @property
    def name(self) -> str:
        """Estimator and operator."""
        return f"{self.solver} on {self.operator}"


def to_markdown(rows: list[Row]) -> str:
    """A table for images and one for volumes."""
    parts = ["# The largest image and volume in a given memory\n"]
    for axes, title in AXES.items():
        of = [row for row in rows if row.axes == axes]
        if of:
            head = ["estimator", "operator", "error", "applications + products", "bytes a pixel"]
            head += [f"{memory} GiB" for memory in MEMORIES]
            head += ["measured up to", "there GiB", "seconds", "predicted there"]
            lines = [head, ["---"] * len(head), *(_cells(row) for row in of)]
            parts.append(f"## {title}\n\n" + "".join(f"| {' | '.join(cells)} |\n" for cells in lines))
    base = statistics.median(row.line.base for row in rows) / UNITS["GiB"]
    return "\n".join([*parts, LEGEND.format(base=base)])


def _cells(row: Row) -> list[str]:
    largest, power = row.steps[-1], POWER[row.axes]
    sides = [row.line.largest_side(memory * UNITS["GiB"], row.axes) for memory in MEMORIES]
    return [
        f"`{row.solver}`",
        f"`{row.operator}`",
        f"{100 * row.error:.2g} %",
        f"{largest.applications:g} + {largest.products:g}",
        f"{row.line.each:.0f}",
        *(f"{side}{power}" if side else "none" for side in sides),
        f"{largest.sides[0]}{power}",
        f"{largest.peak / UNITS['GiB']:.2f}",
        f"{largest.seconds:.0f}",
        "–" if math.isnan(missed := miss(row.steps)) else f"{100 * missed:+.0f} %",
    ]


LEGEND = """
---
A training step in float32 on one synthetic image or volume, in a process of its own, on one thread. *bytes a pixel*:
the slope of the process's largest resident set against pixels or voxels, by the line through all sizes measured. It
takes about {base:.1f} GiB before it has an image. *2 GiB* and so on: the largest side that this line predicts, in
multiples of 8. *predicted there*: by how much the line through the smaller sizes alone misses the largest one that was
measured. *error*: of the gradient at 128² or 32³, against one in float64. *seconds*: of the largest step measured.
"""


def draw(rows: list[Row]) -> Figure:
    """Peak of memory against pixels and voxels: measured dots, the line that predicts beyond, and the memories."""
    present = [count for count in AXES if any(row.axes == count for row in rows)]
    figure, grid = plt.subplots(
        1, len(present), figsize=(1.5 + 4.75 * len(present), 4.4), sharey=True, squeeze=False
    )
    axes = list(grid[0])
    names = list(dict.fromkeys(row.name for row in rows))
    palette = dict(zip(names, sns.color_palette("colorblind", len(names)), strict=True))
    markers = dict(zip(names, "osDv^P<>Xph*" * 3, strict=False))
    for ax, count in zip(axes, present, strict=True):
        for row in (row for row in rows if row.axes == count):
            pixels = np.array([math.prod(step.sides) for step in row.steps], dtype=float)
            peaks = np.array([step.peak for step in row.steps]) / UNITS["GiB"]
            ends = np.geomspace(pixels[0], max(pixels[-1], (MEMORIES[-1] * UNITS["GiB"]) / row.line.each), 60)
            ax.plot(
                ends, [row.line.at(n) / UNITS["GiB"] for n in ends], color=palette[row.name], lw=0.9, ls=":"
            )
            ax.plot(
                pixels, peaks, color=palette[row.name], marker=markers[row.name], ms=5, lw=1.4, label=row.name
            )
        for memory in MEMORIES:
            ax.axhline(memory, color="0.7", lw=0.7, zorder=0)
            ax.text(1, memory, f" {memory} GiB", transform=ax.get_yaxis_transform(), va="center", fontsize=8)
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.set_ylim(0.5, 100)
        ax.set_xlabel("pixels" if count == 2 else "voxels")
        ax.set_title(AXES[count], fontsize=10)
        if count == 3:
            ax.axvline(math.prod(HEAD), color="0.4", lw=0.8, ls="--")
            ax.text(1.05 * math.prod(HEAD), 0.53, "×".join(map(str, HEAD)), fontsize=8, color="0.3")
    axes[0].set_ylabel("largest resident set of the process, GiB")
    handles = {
        h.get_label(): h for ax in axes for h in ax.get_lines() if not str(h.get_label()).startswith("_")
    }
    figure.legend(
        handles.values(),
        handles.keys(),
        loc="lower center",
        ncol=len(present),
        fontsize=7,
        frameon=False,
        bbox_to_anchor=(0.5, 0),
    )
    lines = math.ceil(len(handles) / len(present))
    figure.tight_layout(rect=(0, 0.04 * (lines + 0.5), 1, 1))
    return figure
