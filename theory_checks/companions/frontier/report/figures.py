"""Figures: landscapes, their frontier and its dimension, and the laws of finite size."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..simulation.settings import Setting
from . import plots_dimension, plots_landscapes, plots_laws

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def figures(at: Setting) -> dict[str, Figure]:
    """By the stem of their files."""
    found = {}
    for ladder in at.ladders:
        name = f"landscape-{ladder.architecture.value.lower()}-{ladder.width}-{ladder.depth}"
        found[name] = plots_landscapes.zoomed(at, ladder)
    found["frontier-depth"] = plots_landscapes.depths(at)
    found["frontier-zoom"] = plots_landscapes.to_a_curve(at)
    found["box-counts"] = plots_dimension.box_counts(at)
    found["dimension-depth"] = plots_dimension.depth_and_zoom(at)
    found["dimension-threshold"] = plots_dimension.thresholds(at)
    found["band-depth"] = plots_laws.band_widths(at)
    found["slopes"] = plots_laws.slopes_over_chi(at)
    found["finite-width"] = plots_laws.finite_width(at)
    return found
