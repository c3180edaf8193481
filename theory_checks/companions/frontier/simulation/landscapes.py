"""Landscapes of squared distances over a window, computed once for every claim, table and figure."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import torch
from torch import Tensor

from . import box_counting, forward_pass, landscapes, mean_field, networks
from .forward_pass import Means
from .networks import Architecture
from .settings import Ladder, Setting, Window


def points(window: Window, cells: int) -> Tensor:
    """Nodes of the cells, σ_w to the right and σ_b upwards: ``(2, (cells + 1)²)``, float64, row by row."""
    w = torch.linspace(*window.sigma_w, cells + 1, dtype=torch.float64)
    b = torch.linspace(*window.sigma_b, cells + 1, dtype=torch.float64)
    up, right = torch.meshgrid(b, w, indexing="ij")
    return torch.stack([right.ravel(), up.ravel()])


def landscape(
    architecture: Architecture,
    width: int,
    depths: tuple[int, ...],
    seed: int,
    window: Window,
    cells: int,
    means: Means,
) -> np.ndarray:
    """``‖x₁ − x₂‖²/N`` of independent inputs at the nodes: ``(len(depths), cells + 1, cells + 1)``."""
    network = networks.draw(architecture, width, depths[-1], seed)
    inputs = networks.two_inputs(width, seed)
    found = forward_pass.landscape(network, inputs, points(window, cells), depths, means)
    return found.reshape(len(depths), cells + 1, cells + 1).numpy()


@cache
def single(at: Setting, architecture: Architecture, seed: int) -> np.ndarray:
    """In the window of the dimensions, in float32."""
    return landscape(architecture, at.width, at.depths, seed, at.window, at.cells, at.single)


@cache
def both_precisions(at: Setting, architecture: Architecture, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """In the same window with fewer cells, in float32 and in float64: the same network, to the last bit."""
    rough, fine = (
        landscape(architecture, at.width, at.depths, seed, at.window, at.precise_cells, means)
        for means in (at.single, at.double)
    )
    return rough, fine


@cache
def infinite(at: Setting, window: Window) -> np.ndarray:
    """The same of infinite width, in float64 on the CPU."""
    where = points(window, at.cells)
    shape = (len(at.depths), at.cells + 1, at.cells + 1)
    return mean_field.landscape(where[0], where[1], at.depths).reshape(shape).numpy()


@cache
def shown(at: Setting, ladder: Ladder) -> tuple[np.ndarray, ...]:
    """The landscapes of a ladder of windows, in float32, of the first seed."""
    return tuple(
        landscape(
            ladder.architecture,
            ladder.width,
            (ladder.depth,),
            at.seeds[0],
            window,
            at.shown_cells,
            at.single,
        )[0]
        for window in ladder.windows
    )


def ladder_dimensions(at: Setting, ladder: Ladder) -> list[float]:
    """In each of its windows; nan where there is no frontier."""
    return [dimension(at, distances) for distances in shown(at, ladder)]


def threshold(at: Setting, distances: np.ndarray) -> float:
    """τ: the one of the setting, whatever the landscape looks like."""
    del distances
    return at.threshold


def dimension(at: Setting, distances: np.ndarray) -> float:
    """Of the frontier of one landscape, at the threshold of the setting; nan where there is none."""
    return box_counting.dimension(
        box_counting.edges(box_counting.signs(distances, landscapes.threshold(at, distances)))
    )


def refinement(at: Setting, distances: np.ndarray) -> float:
    """Of the frontier of one landscape, by resolution in place of boxes."""
    return box_counting.refinement(box_counting.signs(distances, landscapes.threshold(at, distances)))


def median(values: list[float]) -> float:
    """nan as soon as one value is: a network without a frontier is no evidence."""
    return math.nan if any(math.isnan(v) for v in values) else float(np.median(values))


def dimensions(at: Setting, architecture: Architecture, depth: int) -> list[float]:
    """Of every seed, in float32."""
    of = at.depths.index(depth)
    return [dimension(at, single(at, architecture, seed)[of]) for seed in at.seeds]
