"""What every figure has in common: colours, markers, legends, labels, and files of the same bytes."""

# The stubs of pandas and seaborn know neither the types of columns nor those of rows.
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false, reportIndexIssue=false
from __future__ import annotations

import io
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.axis import XAxis, YAxis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from matplotlib.transforms import Bbox

from solvers import ESTIMATORS

from ..analysis.over_seeds import over_all
from ..config.call_syntax import arguments
from ..utils.atomic_files import write_atomically

_FIRST = ("unrolled", "restarted_jfb", "jfb", "neumann", "deq", "implicit")
FAMILIES = (*_FIRST, *(name for name in ESTIMATORS if name not in _FIRST))
"""Fixed places in the palette, so that an estimator keeps its colour in every figure."""
MARKERS = ("o", "s", "^", "D", "P", "*", "X", "v")
LONGEST_NAME = 12
"""Characters of a name beside a point."""
METADATA = {
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "Producer": None, "Creator": None},
    "svg": {"Date": None, "Creator": None},
}


def number_log(axis: XAxis | YAxis) -> None:
    """Numbers on a logarithmic axis with final limits, also where it spans less than a power of ten."""
    low, high = axis.get_view_interval()
    axis.set_minor_formatter(NullFormatter())
    if high / low < 40:
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)) if high / low > 4 else MaxNLocator(4))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def style_of(frame: pd.DataFrame) -> dict[str, object]:
    """What seaborn is told so that a family has its colour and its marker."""
    families = [*(f for f in FAMILIES if (frame["family"] == f).any())]
    families += [f for f in frame["family"].unique() if f not in families]
    palette = sns.color_palette("colorblind", max(len(FAMILIES), len(families)))
    places = [FAMILIES.index(f) if f in FAMILIES else len(FAMILIES) + i for i, f in enumerate(families)]
    return {
        "hue": "family",
        "hue_order": families,
        "style": "family",
        "style_order": families,
        "palette": [palette[p % len(palette)] for p in places],
        "markers": [MARKERS[p % len(MARKERS)] for p in places],
    }


def means_of(frame: pd.DataFrame) -> pd.DataFrame:
    """Means over the seeds of a task; ``cost`` is applications + VJPs.

    NaN where a seed of the task is missing, failed, or has no value: who fails on the harder seed is not drawn
    as better.
    """
    good = frame[frame["status"] == "ok"]
    numbers = list(good.select_dtypes("number").columns.drop(["seed", "crop", "batch"]))
    by = ["task", "crop", "batch", "heading", "solver", "family", "peer"]
    means = over_all(good, by, numbers, among=frame)
    means["cost"] = means["applications"] + means["vjps"]
    return means


def facets(count: int, height: float = 3.9) -> tuple[Figure, np.ndarray]:
    """``count`` axes, three a line."""
    columns = min(count, 3)
    lines = -(-count // columns)
    figure, axes = plt.subplots(lines, columns, figsize=(4.4 * columns, height * lines), squeeze=False)
    for ax in axes.flat[count:]:
        ax.set_visible(False)
    return figure, axes.flat[:count]


def shared_legend(figure: Figure, axes, title: str) -> None:
    """One legend on the right, of what stands in the legends of the axes."""
    handles: dict[str, object] = {}
    for ax in axes:
        if (legend := ax.get_legend()) is not None:
            found, labels = ax.get_legend_handles_labels()
            handles |= dict(zip(labels, found, strict=True))
            legend.remove()
    figure.legend(
        handles.values(),
        handles.keys(),
        title=title,
        loc="center left",
        bbox_to_anchor=(1.0, 0.5),
        frameon=False,
    )


def name_points(ax: Axes, points: pd.DataFrame, x: str, y: str) -> None:
    """The arguments of each solver beside its point, where they are short, fit, and cover no other label.

    Args:
        ax: with final data; its limits are not touched.
        points, x, y: rows with a ``solver``, and their columns.
    """
    for limits in (ax.get_xlim, ax.get_ylim):
        limits()  # asking makes them final, before points are turned into places
    right = ax.get_window_extent().x1
    taken: list[Bbox] = []
    for row in points.itertuples():
        point = (getattr(row, x), getattr(row, y))
        name = arguments(row.solver)
        if len(name) > LONGEST_NAME:  # a figure has no room for compositions; the tables have
            continue
        fits = ax.transData.transform(point)[0] + 8 * len(name) < right
        place = {"xytext": (5, 3), "ha": "left"} if fits else {"xytext": (-5, 3), "ha": "right"}
        text = ax.annotate(name, point, textcoords="offset points", fontsize=7, color="0.35", **place)
        box = text.get_window_extent()
        if any(box.overlaps(other) for other in taken):
            text.remove()
        else:
            taken.append(box)


def looks_of(frame: pd.DataFrame) -> dict[str, dict[str, object]]:
    """Colour and marker of each family, as matplotlib is told them: filled for ours, hollow for a peer's."""
    style = style_of(frame)
    peers = {row.family for row in frame.itertuples() if row.peer}
    looks = zip(style["hue_order"], style["palette"], style["markers"], strict=True)
    return {
        family: {
            "color": colour,
            "marker": marker,
            "mfc": "none" if family in peers else colour,
            "mec": colour if family in peers else "white",
            "mew": 1.3 if family in peers else 0.3,
            "ms": 11 if marker == "*" else 7.5,
        }
        for family, colour, marker in looks
    }


def side_legend(figure: Figure, frame: pd.DataFrame, further: list[Line2D]) -> None:
    """The families of ``frame`` on the right of a figure, peers below ours, then ``further``."""
    looks = looks_of(frame)
    peers = [row.family for row in frame.drop_duplicates("family").itertuples() if row.peer]
    ours = [family for family in looks if family not in peers]
    handles = [Line2D([], [], ls="", label=family, **looks[family]) for family in (*ours, *peers)]
    figure.legend(handles=[*handles, *further], loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)


RC = {"font.size": 9, "axes.titlesize": 10}
"""Of a figure, while it is drawn."""
MARGIN = 0.1
"""Inches around a figure."""
FILES = {"pdf.fonttype": 42, "svg.fonttype": "none", "svg.hashsalt": "eqgrad"}
"""Of a file: TrueType in a PDF, where publishers refuse Type 3, and text that stays text in an SVG."""


@mpl.rc_context(FILES)
def save_figure(figure: Figure, name: str, folder: Path) -> list[Path]:
    """Write a figure as PNG, PDF and SVG, and close it; the same figure gives the same bytes."""
    written = []
    # Laid out once: every "tight" would draw the figure once more.
    figure.draw_without_rendering()
    # None, and not "none", which keeps a place for an engine: every file would be drawn twice for its sake.
    figure.set_layout_engine(None)
    box = figure.get_tightbbox().padded(MARGIN)
    for suffix, metadata in METADATA.items():
        file = folder / f"{name}.{suffix}"
        # In memory first: a disk that is full is told in one way, and never leaves half a picture.
        drawn = io.BytesIO()
        figure.savefig(drawn, format=suffix, dpi=150, bbox_inches=box, metadata=metadata)
        write_atomically(file, drawn.getvalue())
        written.append(file)
    plt.close(figure)
    return written
