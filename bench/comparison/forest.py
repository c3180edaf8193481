"""A forest plot of a comparison: the ratio of the time of a step with its interval, a row for each solver and task."""

# The stubs of matplotlib do not know the types of arguments.
# pyright: reportArgumentType=false
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..utils.errors import UserError
from .change import Aspect, Outcome
from .compare import Comparison
from .tables import reference_names

COLOURS = {Outcome.BETTER: "tab:green", Outcome.WORSE: "tab:red"}
"""Of rows that have moved; others are grey."""
ROW = 0.24
"""Height of a row in inches."""


@dataclass(frozen=True, slots=True)
class ForestRow:
    """A ratio of times of the code, and its interval.

    Attributes:
        label: task, size and solver.
        ratio: below 1 is faster than the reference.
        low, high: ends of the interval; ``None`` if none is known.
        verdict: on the ratio.
    """

    label: str
    ratio: float
    low: float | None
    high: float | None
    verdict: Outcome


def forest_rows(comparison: Comparison) -> list[ForestRow]:
    """The cells that were timed on both sides, and first the mean over them, if there is one."""
    rows: list[ForestRow] = []
    for change in comparison.changes:
        if change.part is Aspect.TIME and change.change is not None:
            label = "mean of all"
            if change.place is not None:
                task, crop, batch, solver = change.place
                label = f"{solver}, {task}, {crop}², batch {batch}"
            rows.append(ForestRow(label, change.change, change.low, change.high, change.verdict))
    return rows


def draw_forest(comparisons: Sequence[Comparison], folder: Path) -> list[Path]:
    """Write ``forest.png``, ``.pdf`` and ``.svg`` into a folder, made if missing: one plot for each reference.

    Raises:
        UserError: nothing was timed on both sides.
        Unwritable: the disk is full, or may only be read.
    """
    # Imported here: matplotlib takes a second that no other comparison should wait for.
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    from ..report.figure_style import RC, number_log, save_figure
    from ..utils.atomic_files import make_folder

    found = [forest_rows(comparison) for comparison in comparisons]
    if not any(found):
        raise UserError("nothing to draw: no cell was timed on both sides")
    with mpl.rc_context(RC):
        heights = [max(len(rows), 1) for rows in found]
        figure, axes = plt.subplots(
            len(found),
            1,
            figsize=(9, ROW * sum(heights) + 0.9 * len(found)),
            squeeze=False,
            height_ratios=heights,
            layout="constrained",
        )
        for ax, rows, name in zip(axes[:, 0], found, reference_names(comparisons), strict=True):
            for place, row in enumerate(rows):
                colour = COLOURS.get(row.verdict, "0.45")
                if row.low is not None and row.high is not None:
                    ax.plot([row.low, row.high], [place, place], color=colour, linewidth=1.5)
                ax.plot(row.ratio, place, "D" if row.label == "mean of all" else "o", color=colour, ms=5)
            ax.axvline(1, color="0.3", linewidth=0.8)
            ax.set_yticks(range(len(rows)), [row.label for row in rows], fontsize=8)
            ax.set(xscale="log", ylim=(len(rows) - 0.4, -0.6))
            ax.set_xlabel(f"time of a step, ratio to {name}, the part due to the code, with its interval")
            number_log(ax.xaxis)
            ax.grid(axis="x", alpha=0.3)
        make_folder(folder)
        return save_figure(figure, "forest", folder)
