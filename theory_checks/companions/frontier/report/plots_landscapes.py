"""Images of landscapes: log distances over (σ_w, σ_b), with the edge of chaos and the windows of the zooms."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ..simulation import landscapes, mean_field, zooms
from ..simulation.networks import Architecture
from ..simulation.settings import ALL, Ladder, Setting, Window

LOWEST, HIGHEST = -20.0, 0.5
"""Range of the colour scale, in powers of ten."""
EDGE_COLOUR = "#d55e00"


def draw_landscape(ax: Axes, distances: np.ndarray, window: Window) -> None:
    """Draw log₁₀ of the distances; inputs that have met have the lowest colour."""
    with np.errstate(divide="ignore"):
        log = np.log10(distances.astype(float))
    extent = (*window.sigma_w, *window.sigma_b)
    ax.imshow(
        np.maximum(log, LOWEST),
        origin="lower",
        extent=extent,
        aspect="auto",
        cmap="cividis",
        vmin=LOWEST,
        vmax=HIGHEST,
        interpolation="nearest",
    )
    ax.set(xlabel=r"$\sigma_w$", ylabel=r"$\sigma_b$")
    ax.locator_params(nbins=4)
    ax.ticklabel_format(useOffset=False)


def edge_of_chaos(ax: Axes, window: Window) -> None:
    """Draw the curve χ = 1 of infinite width."""
    sigma_w = np.linspace(*window.sigma_w, 400)
    with np.errstate(invalid="ignore"):
        sigma_b = mean_field.edge_sigma_b(sigma_w)
    ax.plot(sigma_w, sigma_b, color=EDGE_COLOUR, lw=1.8, ls="--", label="edge of chaos, N → ∞")
    ax.set(xlim=window.sigma_w, ylim=window.sigma_b)


def mark_window(ax: Axes, window: Window) -> None:
    """Draw a frame around the next window."""
    (left, right), (low, high) = window.sigma_w, window.sigma_b
    ax.add_patch(Rectangle((left, low), right - left, high - low, fill=False, ec="white", lw=1.5))


def _colour_bar(figure: Figure) -> None:
    """Add one colour bar for all axes, which share the colour scale."""
    axes = figure.axes
    bar = figure.colorbar(axes[0].images[0], ax=axes, shrink=0.9, pad=0.02, extend="min")
    bar.set_label(r"$\log_{10}\,\|x_1 - x_2\|^2/N$ at the output")


def windows_figure(setting: Setting, ladder: Ladder) -> Figure:
    """The landscape in each window of a ladder."""
    count = len(ladder.windows)
    figure, axes = plt.subplots(1, count, figsize=(4.2 * count + 0.8, 4.0), layout="constrained")
    maps = landscapes.ladder_landscapes(setting, ladder)
    for i, (ax, window, distances) in enumerate(zip(axes, ladder.windows, maps, strict=True)):
        draw_landscape(ax, distances, window)
        dimension = landscapes.frontier_dimension(setting, distances)
        ax.set_title(
            "no frontier here" if np.isnan(dimension) else rf"box-counting dimension {dimension:.2f}"
        )
        edge_of_chaos(ax, window)
        if i + 1 < count:
            mark_window(ax, ladder.windows[i + 1])
    axes[0].legend(loc="upper left", framealpha=0.9, fontsize=8)
    _colour_bar(figure)
    figure.suptitle(
        f"Distance of two inputs after {ladder.depth} layers ({ladder.architecture.value}, N = {ladder.width}); "
        "frames mark the next window"
    )
    return figure


def depths_figure(setting: Setting) -> Figure:
    """The window in which dimensions are measured, by architecture (rows) and depth (columns)."""
    figure, axes = plt.subplots(
        len(ALL), len(setting.depths), figsize=(10.5, 9.2), sharex=True, sharey=True, layout="constrained"
    )
    for row, architecture in zip(axes, ALL, strict=True):
        maps = landscapes.float32_landscapes(setting, architecture, setting.seeds[0])
        for ax, depth, distances in zip(row, setting.depths, maps, strict=True):
            draw_landscape(ax, distances, setting.window)
            edge_of_chaos(ax, setting.window)
            dimension = landscapes.frontier_dimension(setting, distances)
            ax.set_title(f"{architecture.value}, D = {depth}: {dimension:.2f}", fontsize=11)
            ax.label_outer()
    axes[0, 0].legend(loc="upper left", framealpha=0.9, fontsize=8)
    _colour_bar(figure)
    figure.suptitle(
        f"The frontier grows rougher with depth (N = {setting.width}, seed {setting.seeds[0]}; "
        "titles: box-counting dimension)"
    )
    return figure


def zoom_figure(setting: Setting) -> Figure:
    """Four of the zooms into one network, at the smallest depth."""
    depth = setting.zoom_depths[0]
    levels = zooms.zoom_levels(setting, Architecture.MLP, depth, setting.zoom_seeds[0])
    panels = levels[:: max(1, (len(levels) - 1) // 3)][:4]
    figure, axes = plt.subplots(
        1, len(panels), figsize=(3.4 * len(panels), 3.5), layout="constrained", squeeze=False
    )
    for ax, level in zip(axes[0], panels, strict=True):
        above = level.distances > setting.threshold
        ax.imshow(above, origin="lower", cmap="cividis", interpolation="nearest")
        ax.set(xticks=[], yticks=[], title=f"×{level.zoom:,}: dimension {level.dimension:.2f}")
        ax.set_xlabel(rf"$\sigma_w$, {np.ptp(level.window.sigma_w):.1g} wide")
    axes[0, 0].set_ylabel(r"$\sigma_b$")
    figure.suptitle(
        f"At a fixed depth the frontier is a smooth curve, closely enough (MLP, N = {setting.width}, D = {depth}; "
        "yellow: inputs told apart)"
    )
    return figure
