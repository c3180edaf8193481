"""Figures: landscapes, their frontier and its dimension, and the laws of finite size."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..simulation.settings import Setting
from . import plots_dimension, plots_landscapes, plots_laws

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def figures(setting: Setting) -> dict[str, Figure]:
    """By the stem of their files."""
    found = {}
    for ladder in setting.ladders:
        name = f"landscape-{ladder.architecture.value.lower()}-{ladder.width}-{ladder.depth}"
        found[name] = plots_landscapes.windows_figure(setting, ladder)
    found["frontier-depth"] = plots_landscapes.depths_figure(setting)
    found["frontier-zoom"] = plots_landscapes.zoom_figure(setting)
    found["box-counts"] = plots_dimension.box_counts_figure(setting)
    found["dimension-depth"] = plots_dimension.depth_and_zoom_figure(setting)
    found["dimension-threshold"] = plots_dimension.threshold_figure(setting)
    found["band-depth"] = plots_laws.bands_figure(setting)
    found["slopes"] = plots_laws.slopes_figure(setting)
    found["finite-width"] = plots_laws.finite_width_figure(setting)
    return found
