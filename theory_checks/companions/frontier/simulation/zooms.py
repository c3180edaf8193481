"""Successive zooms into the frontier of one network, until it is a smooth curve."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from . import box_counting, landscapes
from .networks import Architecture
from .settings import Setting, Window


@dataclass(frozen=True, slots=True)
class ZoomLevel:
    """One window: its magnification against the first, the squared distances in it, and the dimension."""

    window: Window
    zoom: int
    distances: np.ndarray
    dimension: float


@cache
def zoom_levels(setting: Setting, architecture: Architecture, depth: int, seed: int) -> tuple[ZoomLevel, ...]:
    """Windows each ``zoom_factor`` times smaller, centred at the frontier cell nearest to the centre of the last.

    The sequence ends early at a window without a frontier, whose dimension is nan.
    """
    window, levels = setting.window, []
    for level in range(setting.zoom_levels + 1):
        (distances,) = landscapes.network_landscape(
            architecture, setting.width, (depth,), seed, window, setting.zoom_cells, setting.float64
        )
        cells = box_counting.frontier_cells(
            box_counting.signs(distances, landscapes.threshold(setting, distances))
        )
        levels.append(ZoomLevel(window, setting.zoom_factor**level, distances, box_counting.dimension(cells)))
        if not cells.any():
            break
        window = window.around(central_cell(window, cells), setting.zoom_factor)
    return tuple(levels)


def central_cell(window: Window, cells: np.ndarray) -> tuple[float, float]:
    """σ_w and σ_b of the marked cell nearest to the centre of the window."""
    size = len(cells)
    where = np.argwhere(cells)
    row, column = where[np.argmin(((where + 0.5 - size / 2) ** 2).sum(1))]
    (left, right), (low, high) = window.sigma_w, window.sigma_b
    return (
        float(left + (column + 0.5) / size * (right - left)),
        float(low + (row + 0.5) / size * (high - low)),
    )
