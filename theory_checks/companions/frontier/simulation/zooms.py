"""Deeper and deeper into the frontier of one network, until it is a smooth curve."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from . import box_counting, landscapes
from .networks import Architecture
from .settings import Setting, Window


@dataclass(frozen=True, slots=True)
class Level:
    """One window of a ladder: how often it is smaller than the first, and what was found in it."""

    window: Window
    zoom: int
    distances: np.ndarray
    dimension: float


@cache
def ladder(at: Setting, architecture: Architecture, depth: int, seed: int) -> tuple[Level, ...]:
    """Windows each ``zoom_factor`` times smaller, about the frontier cell nearest to the middle of the last.

    Ends early where a window holds no frontier; its dimension is nan.
    """
    window, found = at.window, []
    for level in range(at.zoom_levels + 1):
        (distances,) = landscapes.landscape(
            architecture, at.width, (depth,), seed, window, at.zoom_cells, at.double
        )
        cells = box_counting.edges(box_counting.signs(distances, landscapes.threshold(at, distances)))
        found.append(Level(window, at.zoom_factor**level, distances, box_counting.dimension(cells)))
        if not cells.any():
            break
        window = window.around(middle(window, cells), at.zoom_factor)
    return tuple(found)


def middle(window: Window, cells: np.ndarray) -> tuple[float, float]:
    """σ_w and σ_b of the marked cell nearest to the middle of the window."""
    size = len(cells)
    where = np.argwhere(cells)
    row, column = where[np.argmin(((where + 0.5 - size / 2) ** 2).sum(1))]
    (left, right), (low, high) = window.sigma_w, window.sigma_b
    return (
        float(left + (column + 0.5) / size * (right - left)),
        float(low + (row + 0.5) / size * (high - low)),
    )
