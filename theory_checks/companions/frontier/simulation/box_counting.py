"""The frontier of a sign field, and its box-counting dimension.

Sizes and threshold are fixed beforehand. The authors' code takes every size from 1 to 49 and the threshold that makes
the dimension largest, which is biased upwards.
"""

from __future__ import annotations

import math

import numpy as np

from . import box_counting

LARGEST = 32
"""Side of the largest box, in cells."""


def box_sizes(cells: int) -> tuple[int, ...]:
    """Sides of the boxes in a window of so many cells: 1, 2, 4, … up to 32, and to a sixth of the window."""
    most = min(LARGEST, max(cells // 6, 1))
    return tuple(2**j for j in range(most.bit_length()))


def signs(distances: np.ndarray, threshold: float) -> np.ndarray:
    """Where the squared distance is above the threshold."""
    return distances > threshold


def frontier_cells(above: np.ndarray) -> np.ndarray:
    """Cells between four neighbouring nodes with both signs.

    Args:
        above: booleans at nodes, ``(R + 1, R + 1)``.

    Returns:
        Booleans of cells, ``(R, R)``.
    """
    corners = np.stack([above[:-1, :-1], above[1:, :-1], above[:-1, 1:], above[1:, 1:]])
    return np.logical_xor(corners.any(0), corners.all(0))


def box_counts(cells: np.ndarray, of: tuple[int, ...]) -> np.ndarray:
    """How many boxes of each side hold a marked cell; boxes at the end are cut off by the window."""
    rows, columns = cells.shape
    found = []
    for size in of:
        whole = np.pad(cells, ((0, -rows % size), (0, -columns % size)))
        tiles = whole.reshape(whole.shape[0] // size, size, whole.shape[1] // size, size)
        found.append(int(tiles.any((1, 3)).sum()))
    return np.array(found)


def dimension(cells: np.ndarray, of: tuple[int, ...] | None = None) -> float:
    """Minus the slope of ``log count`` over ``log size``, by least squares.

    Args:
        of: sides of the boxes; those of ``sizes`` if ``None``.

    Returns:
        nan where nothing is marked, so that it cannot pass for a dimension.
    """
    used = box_counting.box_sizes(len(cells)) if of is None else of
    number = box_counting.box_counts(cells, used)
    if (number == 0).any() or len(used) < 3:
        return math.nan
    return -box_counting.slope(np.log(used), np.log(number))


STEPS = (1, 2, 4)
"""Every node is kept, every second, every fourth."""


def refinement(above: np.ndarray) -> float:
    """How fast the number of frontier cells grows with the resolution: minus the slope of its log over log step.

    Signs that know nothing of their neighbours give 2 however rare one of them is. Box counting gives less for rare
    ones: specks among large boxes look like a fractal.

    Returns:
        nan where there is no frontier at one of the resolutions.
    """
    number = np.array([box_counting.frontier_cells(above[::step, ::step]).sum() for step in STEPS])
    if (number == 0).any():
        return math.nan
    return -box_counting.slope(np.log(STEPS), np.log(number))


def slope(x: np.ndarray, y: np.ndarray) -> float:
    """By least squares."""
    return float(np.polyfit(x, y, 1)[0])
