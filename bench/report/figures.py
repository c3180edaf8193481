"""Plots as figures, and test images side by side."""

# The stubs of pandas and matplotlib know neither the types of columns nor those of arguments.
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportCallIssue=false
from __future__ import annotations

import textwrap
from collections.abc import Iterable
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter, NullLocator
from matplotlib.transforms import Bbox

from .family_style import family_styles
from .figure_style import RC, figure_files, look_of
from .images import Arrays, SolverImages, psnr
from .plot import Axis, Layer, Panel, Plot, means_of
from .tables import slug

LINES = {
    "solid": {"color": "0.35", "lw": 1.2, "zorder": 1},
    "thin": {"color": "0.75", "lw": 1, "zorder": 0},
    "dashed": {"color": "0.75", "lw": 0.8, "ls": "--", "zorder": 0},
    "dotted": {"color": "0.4", "lw": 1, "ls": ":", "zorder": 0},
}
"""Guides by kind of line."""
RING = {"ls": "", "marker": "o", "ms": 12, "mfc": "none", "mec": "k", "mew": 1.1}
WIDTH = 30
"""Characters over an image before a line ends."""


def to_figure(plot: Plot) -> Figure:
    """Draw a plot with at least one panel."""
    columns, rows = len(plot.grid[0]), len(plot.grid)
    width, height = plot.size
    figure, axes = plt.subplots(rows, columns, figsize=(width * columns, height * rows), squeeze=False)
    drawn = []
    for ax, panel in zip(axes.flat, (panel for row in plot.grid for panel in row), strict=True):
        if panel is None:
            ax.set_visible(False)
            continue
        for layer in panel.layers:
            _draw(ax, layer, panel.y, plot)
        _number(ax, panel)
        drawn.append((ax, panel))
    legend = figure.legend(
        handles=_legend(plot), title=plot.legend, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False
    )
    legend.set_alignment("left")
    figure.tight_layout()
    for ax, panel in drawn:  # last: only now it is known which names fit and which overlap
        _name(ax, [layer.rows for layer in panel.layers if layer.kind == "names"], panel.y)
    return figure


def _draw(ax: Axes, layer: Layer, y_axis: Axis, plot: Plot) -> None:
    rows = layer.rows.assign(y=layer.rows["y"].clip(lower=y_axis.clip or None))
    if layer.kind == "guides":
        style = LINES[layer.line] | {"drawstyle": "steps-post" if layer.steps else "default"}
        for _, line in rows.groupby("line", sort=False):
            ax.plot(line["x"], line["y"], **style)
        if layer.label:
            at = (0.995, rows["y"].iloc[-1])
            place = {"xycoords": ("axes fraction", "data"), "ha": "right", "va": "bottom"}
            ax.annotate(layer.label, at, **place, fontsize=7, color="0.45")
    elif layer.kind == "lines":
        for _, line in rows.groupby("solver", sort=False):
            colour = plot.styles[line["family"].iloc[0]].colour
            ax.plot(line["x"], line["y"], lw=1.2, color=colour, ls="--" if layer.line == "dashed" else "-")
    elif layer.kind == "points":
        for family, part in rows.groupby("family", sort=False):
            look = look_of(plot.styles[family], layer.fill, layer.small)
            ax.plot(part["x"], part["y"], ls="", zorder=2.1, **look)
    elif layer.kind == "rings":
        ax.plot(rows["x"], rows["y"], zorder=3, **RING)


def _number(ax: Axes, panel: Panel) -> None:
    ax.set_title(panel.title)
    scales = {"xscale": "log" if panel.x.log else "linear", "yscale": "log" if panel.y.log else "linear"}
    ax.set(**scales, xlabel=panel.x.title, ylabel=panel.y.title)
    ax.set_xlim(panel.x.low, panel.x.high)
    ax.set_ylim(max(panel.y.low, panel.y.clip / 2), panel.y.high)
    for axis, scale in ((ax.xaxis, panel.x), (ax.yaxis, panel.y)):
        if ticks := scale.ticks():
            axis.set_ticks([tick for tick in ticks if tick >= scale.clip / 2])
            axis.set_major_formatter(FuncFormatter(lambda value, _, scale=scale: scale.label(value)))
            axis.set_minor_formatter(NullFormatter())
            if scale.fixed:
                axis.set_minor_locator(NullLocator())
        else:
            axis.set_major_locator(MaxNLocator(6))
    ax.grid(alpha=0.3)


def _legend(plot: Plot) -> list[Line2D]:
    """The families that are shown, then the legends of layers."""
    layers = [layer for panel in plot.panels for layer in panel.layers]
    shown = {family for layer in layers if "family" in layer.rows for family in layer.rows["family"]}
    looks: dict[str, dict[str, Any]] = {}
    for family in (family for family in plot.styles if family in shown):
        style = plot.styles[family]
        looks[style.family] = {"ls": "" if style.marker else "-"} | look_of(style)
    for layer in (layer for layer in layers if layer.legend):
        dash = {"color": "k", "ls": "--" if layer.line == "dashed" else "-"}
        looks[layer.legend] = {"rings": RING, "guides": LINES[layer.line]}.get(layer.kind, dash)
    return [Line2D([], [], label=label, **look) for label, look in looks.items()]


MARK = 4
"""Half the side of the square around a point that no name covers, in pixels."""
PLACES = (
    {"xytext": (5, 3), "ha": "left", "va": "bottom"},
    {"xytext": (-5, 3), "ha": "right", "va": "bottom"},
    {"xytext": (5, -3), "ha": "left", "va": "top"},
    {"xytext": (-5, -3), "ha": "right", "va": "top"},
)
"""Where a name may stand beside its point, the best first."""


def _name(ax: Axes, layers: list[pd.DataFrame], y_axis: Axis) -> None:
    """Write names beside their points where they lie within the axes and cover no other name, and no named point."""
    frame = ax.get_window_extent()
    named = [(row, (row.x, max(row.y, y_axis.clip))) for rows in layers for row in rows.itertuples()]
    marks = [ax.transData.transform(point) for _, point in named]
    taken = [Bbox([mark - MARK, mark + MARK]) for mark in marks]
    for row, point in named:
        for place in PLACES:
            text = ax.annotate(
                row.name, point, textcoords="offset points", fontsize=7, color="0.35", zorder=4, **place
            )
            box = text.get_window_extent()
            inside = frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1
            if inside and not any(box.overlaps(other) for other in taken):
                taken.append(box)
                break
            text.remove()


def image_panels(means: pd.DataFrame, images: dict[str, SolverImages], heading: str) -> Figure:
    """Truth, measurement, and for each family the solver with the highest PSNR: as trained, iterated, and the
    error of that.

    Args:
        means: of ``plot.means_of``.
        images: by solver, of the task of ``heading``; not empty.
        heading: of the task.
    """
    rows = means[(means["heading"] == heading) & means["solver"].isin(images)]
    best = rows.sort_values("psnr", kind="stable").groupby("family", sort=False).tail(1)
    best = best.set_index("family").loc[[*family_styles(rows)], "solver"]
    first = images[best.iloc[0]].arrays
    columns = 1 + len(best)
    figure, axes = plt.subplots(3, columns, figsize=(2.1 * columns, 7.6), squeeze=False, layout="constrained")
    before = psnr(first["truth"], first["measurement"])
    _image(axes[0, 0], first["truth"], "truth")
    _image(axes[1, 0], first["measurement"], f"measurement\n{before:.2f} dB")
    for column, solver in enumerate(best, start=1):
        arrays = images[solver].arrays
        titles = {"trained": solver, "equilibrium": images[solver].words}
        for ax, (kind, title) in zip(axes[:2, column], titles.items(), strict=True):
            _image(
                ax,
                arrays[kind],
                f"{textwrap.fill(title, WIDTH)}\n{psnr(arrays['truth'], arrays[kind]):.2f} dB",
            )
    errors = [error_image(images[solver].arrays) for solver in best]
    top = max(float(error.max()) for error in errors) or 1.0
    for ax, error in zip(axes[2, 1:], errors, strict=True):
        ax.imshow(error, cmap="magma", vmin=0, vmax=top)
        ax.set_title(f"error of that, to {top:.0f} of 255", fontsize=8)
        ax.axis("off")
    axes[2, 0].axis("off")
    title = f"{heading}: of each family what has the highest PSNR as trained, one test image"
    figure.suptitle(title, fontsize=10)
    return figure


def error_image(arrays: Arrays) -> np.ndarray:
    """Absolute error of the image at the equilibrium, the largest over channels: ``(height, width)``, of 255."""
    difference = arrays["equilibrium"].astype(float) - arrays["truth"].astype(float)
    return np.abs(difference).max(axis=0)


def _image(ax: Axes, image: np.ndarray, title: str) -> None:
    grey = image.shape[0] == 1
    ax.imshow(image[0] if grey else image.transpose(1, 2, 0), cmap="gray" if grey else None, vmin=0, vmax=255)
    ax.set_title(title, fontsize=8)
    ax.axis("off")


def render_figures(
    plots: Iterable[Plot], frame: pd.DataFrame, images: dict[str, dict[str, SolverImages]]
) -> dict[str, bytes]:
    """Every plot, and the test images of every task, as PNG, PDF and SVG by file name; same rows, same bytes.

    Args:
        plots: of ``plots.run_plots``.
        frame: of ``tidy.tidy``.
        images: by heading and solver.
    """
    files: dict[str, bytes] = {}
    mpl.use("agg")
    with mpl.rc_context(RC):
        for plot in plots:
            files |= figure_files(to_figure(plot), plot.name)
        means = means_of(frame)
        for heading, of_task in images.items():
            files |= figure_files(image_panels(means, of_task, heading), f"panels-{slug(heading)}")
    return files
