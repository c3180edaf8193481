"""The frontier of a sign field, and its box-counting dimension.

Box sizes and threshold are fixed beforehand. The authors' code takes every size from 1 to 49, and the threshold with
the largest dimension, which biases the dimension upwards.
"""

from __future__ import annotations

import math

import numpy as np

from . import box_counting

LARGEST = 32
"""Side of the largest box, in cells."""


def box_sizes(cells: int) -> tuple[int, ...]:
    """Sides of the boxes in a window of ``cells`` a side: powers of 2 up to 32 and up to a sixth of the window."""
    most = min(LARGEST, max(cells // 6, 1))
    return tuple(2**j for j in range(most.bit_length()))


def signs(distances: np.ndarray, threshold: float) -> np.ndarray:
    """The sign field: whether the squared distance is above the threshold."""
    return distances > threshold


def frontier_cells(above: np.ndarray) -> np.ndarray:
    """Frontier cells: cells whose four corners have both signs.

    Args:
        above: signs at the nodes, bool ``(R + 1, R + 1)``.

    Returns:
        Frontier cells, bool ``(R, R)``.
    """
    corners = np.stack([above[:-1, :-1], above[1:, :-1], above[:-1, 1:], above[1:, 1:]])
    return np.logical_xor(corners.any(0), corners.all(0))


def box_counts(cells: np.ndarray, sizes: tuple[int, ...]) -> np.ndarray:
    """The number of boxes of each size that hold a marked cell; the window cuts off the last boxes of a row."""
    rows, columns = cells.shape
    numbers = []
    for size in sizes:
        whole = np.pad(cells, ((0, -rows % size), (0, -columns % size)))
        tiles = whole.reshape(whole.shape[0] // size, size, whole.shape[1] // size, size)
        numbers.append(int(tiles.any((1, 3)).sum()))
    return np.array(numbers)


def dimension(cells: np.ndarray, sizes: tuple[int, ...] | None = None) -> float:
    """Minus the slope of ``log count`` over ``log size``, by least squares.

    Args:
        sizes: sides of the boxes; those of ``sizes`` if ``None``.

    Returns:
        The dimension; nan if no cell is marked, so that an empty set fails every range.
    """
    sides = box_counting.box_sizes(len(cells)) if sizes is None else sizes
    number = box_counting.box_counts(cells, sides)
    if (number == 0).any() or len(sides) < 3:
        return math.nan
    return -box_counting.slope(np.log(sides), np.log(number))


STEPS = (1, 2, 4)
"""Resolutions: every node, every second and every fourth."""


def refinement(above: np.ndarray) -> float:
    """The growth of the number of frontier cells with the resolution: minus the slope of its log over the log step.

    Independent signs give 2, however rare one sign is. Box counting gives less than 2 for rare signs: isolated cells in
    large boxes look like a fractal.

    Returns:
        The exponent; nan if one of the resolutions has no frontier.
    """
    number = np.array([box_counting.frontier_cells(above[::step, ::step]).sum() for step in STEPS])
    if (number == 0).any():
        return math.nan
    return -box_counting.slope(np.log(STEPS), np.log(number))


def slope(x: np.ndarray, y: np.ndarray) -> float:
    """The slope of y over x by least squares."""
    return float(np.polyfit(x, y, 1)[0])
