"""Curves of the dimension: counts of boxes, and against depth, zoom and threshold."""

# The stubs of pandas and seaborn know neither the types of columns nor those of rows.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false
from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.figure import Figure

from ..simulation import box_counting, calibration_sets, landscapes
from ..simulation.settings import ALL, Setting
from . import plot_axes, tables

NAMES = [a.value for a in ALL]


def box_counts_figure(setting: Setting) -> Figure:
    """Box counts over box sizes for networks, mean field, and a set of known dimension."""
    colours = sns.color_palette("colorblind")
    figure, ax = plt.subplots(figsize=(6.4, 4.6), layout="constrained")
    sizes = box_counting.box_sizes(setting.cells)
    frontiers = {
        name: box_counting.frontier_cells(
            landscapes.float32_landscapes(setting, a, setting.seeds[0])[-1] > setting.threshold
        )
        for name, a in zip(NAMES, ALL, strict=True)
    }
    frontiers["mean field"] = box_counting.frontier_cells(
        landscapes.mean_field_landscape(setting, setting.window)[-1] > setting.threshold
    )
    frontiers["Brownian level set, 2 − H = 1.5"] = box_counting.frontier_cells(
        calibration_sets.fractional_brownian(setting.cells + 1, 0.5, 0) > 0
    )
    styles = ("o-", "s-", "D-", "v--", "x:")
    for colour, style, (name, cells) in zip(colours, styles, frontiers.items(), strict=False):
        label = f"{name}: {box_counting.dimension(cells):.2f}"
        ax.plot(sizes, box_counting.box_counts(cells, sizes), style, color=colour, label=label, ms=5)
    ax.set(
        xscale="log",
        yscale="log",
        xlabel="side of a box (cells)",
        ylabel="boxes that hold a part of the frontier",
        title=f"Box counts at D = {setting.depths[-1]}, N = {setting.width}; the slope is the dimension",
    )
    plot_axes.plain(ax, sizes)
    plot_axes.grid(ax)
    ax.legend(frameon=False, title="dimension")
    return figure


def depth_and_zoom_figure(setting: Setting) -> Figure:
    """Left: the dimension grows with depth in a fixed window. Right: it falls to 1 under zoom at a fixed depth."""
    colours = sns.color_palette("colorblind")
    figure, (left, right) = plt.subplots(1, 2, figsize=(10.4, 4.2), sharey=True, layout="constrained")
    for j, (a, colour, marker) in enumerate(zip(ALL, colours, "osD", strict=False)):
        each = np.array([landscapes.seed_dimensions(setting, a, depth) for depth in setting.depths])
        left.plot(
            setting.depths, np.median(each, axis=1), marker=marker, color=colour, label=f"{a.value}, median"
        )
        spread = np.array(setting.depths)[:, None] * (1 + 0.02 * (j - 1)) * np.ones_like(each)
        left.scatter(spread, each, color=colour, alpha=0.45, s=18, marker=marker)
    left.axhline(1.3, color="0.4", lw=1, ls=":")
    left.text(
        setting.depths[-1],
        1.31,
        "1.3, asserted of the deepest",
        ha="right",
        va="bottom",
        fontsize=8,
        color="0.3",
    )
    left.set(
        xlabel="depth D (layers)",
        ylabel="box-counting dimension",
        xscale="log",
        title=f"Fixed window {setting.window}",
    )
    plot_axes.plain(left, setting.depths)
    left.legend(frameon=False, loc="upper left", fontsize=8)
    table = tables.zoom_table(setting)
    for (arch, depth, seed), rows in table.groupby(["arch", "D", "seed"], sort=False):
        dashes = ("-", "--", ":")[setting.zoom_depths.index(depth) % 3]
        label = f"{arch}, D = {depth}" if seed == setting.zoom_seeds[0] else None
        colour, marker = colours[NAMES.index(arch)], "osD"[NAMES.index(arch)]
        right.plot(
            rows["zoom"], rows["dim"], marker=marker, ls=dashes, color=colour, ms=4, label=label, alpha=0.8
        )
    right.axhline(1.0, color="0.4", lw=1, ls=":")
    right.set(xscale="log", xlabel="zoom into the window", title="Fixed depth: a smooth curve from close by")
    right.legend(frameon=False, title=f"{len(setting.zoom_seeds)} networks each", fontsize=8)
    for ax in (left, right):
        plot_axes.grid(ax)
    figure.suptitle(
        f"Roughness is that of a depth and a scale (N = {setting.width}, τ = {setting.threshold:g})"
    )
    return figure


def threshold_figure(setting: Setting) -> Figure:
    """The dimension over τ: choosing τ afterwards would report the maximum."""
    table = tables.threshold_table(setting)
    order = [*NAMES, "mean field"]
    figure, ax = plt.subplots(figsize=(6.4, 4.3), layout="constrained")
    sns.lineplot(
        table,
        x="tau",
        y="dim",
        hue="arch",
        style="arch",
        hue_order=order,
        style_order=order,
        markers=["o", "s", "D", "v"],
        dashes=False,
        palette="colorblind",
        errorbar=("pi", 100),
        estimator="median",
        ax=ax,
    )
    ax.axvline(setting.threshold, color="0.4", lw=1, ls=":")
    ax.text(setting.threshold * 1.15, 1.12, "τ fixed beforehand", fontsize=8, color="0.3")
    ax.set(
        xscale="log",
        xlabel="threshold τ on ‖x₁ − x₂‖²/N",
        ylabel="box-counting dimension",
        title="The largest over τ is not the dimension at τ\n"
        f"(D = {setting.depths[-1]}; median and range of {len(setting.seeds)} networks)",
    )
    plot_axes.grid(ax)
    ax.legend(frameon=False, title=None, loc="center left", bbox_to_anchor=(0.02, 0.3))
    return figure
