"""Figures: landscapes, their frontier and its dimension, and the laws of finite size."""

from __future__ import annotations

from matplotlib.figure import Figure

from ..simulation.settings import Setting
from . import plots_dimension, plots_landscapes, plots_laws


def figures(setting: Setting) -> dict[str, Figure]:
    """Every figure, by the stem of its file."""
    by_stem = {}
    for ladder in setting.ladders:
        name = f"landscape-{ladder.architecture.value.lower()}-{ladder.width}-{ladder.depth}"
        by_stem[name] = plots_landscapes.windows_figure(setting, ladder)
    by_stem["frontier-depth"] = plots_landscapes.depths_figure(setting)
    by_stem["frontier-zoom"] = plots_landscapes.zoom_figure(setting)
    by_stem["box-counts"] = plots_dimension.box_counts_figure(setting)
    by_stem["dimension-depth"] = plots_dimension.depth_and_zoom_figure(setting)
    by_stem["dimension-threshold"] = plots_dimension.threshold_figure(setting)
    by_stem["band-depth"] = plots_laws.bands_figure(setting)
    by_stem["slopes"] = plots_laws.slopes_figure(setting)
    by_stem["finite-width"] = plots_laws.finite_width_figure(setting)
    return by_stem
