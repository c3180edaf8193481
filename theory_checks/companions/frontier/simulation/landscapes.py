"""Landscapes of squared distances over a window, computed once for every claim, table and figure."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import torch
from torch import Tensor

from . import box_counting, forward_pass, landscapes, mean_field, networks
from .forward_pass import Computation
from .networks import Architecture
from .settings import Ladder, Setting, Window


def window_nodes(window: Window, cells: int) -> Tensor:
    """σ_w (rightwards) and σ_b (upwards) at the corners of the cells, row by row: ``(2, (cells + 1)²)``, float64."""
    w = torch.linspace(*window.sigma_w, cells + 1, dtype=torch.float64)
    b = torch.linspace(*window.sigma_b, cells + 1, dtype=torch.float64)
    up, right = torch.meshgrid(b, w, indexing="ij")
    return torch.stack([right.ravel(), up.ravel()])


def network_landscape(
    architecture: Architecture,
    width: int,
    depths: tuple[int, ...],
    seed: int,
    window: Window,
    cells: int,
    computation: Computation,
) -> np.ndarray:
    """``‖x₁ − x₂‖²/N`` of independent inputs at the nodes: ``(len(depths), cells + 1, cells + 1)``."""
    network = networks.draw_network(architecture, width, depths[-1], seed)
    inputs = networks.two_inputs(width, seed)
    distances = forward_pass.network_distances(
        network, inputs, window_nodes(window, cells), depths, computation
    )
    return distances.reshape(len(depths), cells + 1, cells + 1).numpy()


@cache
def float32_landscapes(setting: Setting, architecture: Architecture, seed: int) -> np.ndarray:
    """Landscapes of a network in the window of the setting, in float32: ``(len(depths), cells + 1, cells + 1)``."""
    return network_landscape(
        architecture, setting.width, setting.depths, seed, setting.window, setting.cells, setting.float32
    )


@cache
def landscapes_in_both_precisions(
    setting: Setting, architecture: Architecture, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Landscapes of the same network, bit for bit, in float32 and in float64; on ``precise_cells`` a side."""
    rough, fine = (
        network_landscape(
            architecture,
            setting.width,
            setting.depths,
            seed,
            setting.window,
            setting.precise_cells,
            computation,
        )
        for computation in (setting.float32, setting.float64)
    )
    return rough, fine


@cache
def mean_field_landscape(setting: Setting, window: Window) -> np.ndarray:
    """Landscapes of infinite width, in float64 on the CPU."""
    where = window_nodes(window, setting.cells)
    shape = (len(setting.depths), setting.cells + 1, setting.cells + 1)
    return mean_field.mean_field_distances(where[0], where[1], setting.depths).reshape(shape).numpy()


@cache
def ladder_landscapes(setting: Setting, ladder: Ladder) -> tuple[np.ndarray, ...]:
    """The landscape in each window of a ladder, in float32, for the first seed."""
    return tuple(
        network_landscape(
            ladder.architecture,
            ladder.width,
            (ladder.depth,),
            setting.seeds[0],
            window,
            setting.figure_cells,
            setting.float32,
        )[0]
        for window in ladder.windows
    )


def ladder_dimensions(setting: Setting, ladder: Ladder) -> list[float]:
    """The dimension of the frontier in each window of a ladder; nan where there is none."""
    return [frontier_dimension(setting, distances) for distances in ladder_landscapes(setting, ladder)]


def threshold(setting: Setting, distances: np.ndarray) -> float:
    """The threshold τ of a landscape: that of the setting, whatever the landscape looks like.

    A function of the landscape, so that a mutant can choose τ afterwards, as the authors' notebook does.
    """
    del distances
    return setting.threshold


def frontier_dimension(setting: Setting, distances: np.ndarray) -> float:
    """The box-counting dimension of the frontier of a landscape; nan if there is no frontier."""
    return box_counting.dimension(
        box_counting.frontier_cells(box_counting.signs(distances, landscapes.threshold(setting, distances)))
    )


def frontier_refinement(setting: Setting, distances: np.ndarray) -> float:
    """``box_counting.refinement`` of the frontier of a landscape."""
    return box_counting.refinement(box_counting.signs(distances, landscapes.threshold(setting, distances)))


def median_or_nan(values: list[float]) -> float:
    """The median; nan if one value is nan, since a network without a frontier is no evidence."""
    return math.nan if any(math.isnan(v) for v in values) else float(np.median(values))


def seed_dimensions(setting: Setting, architecture: Architecture, depth: int) -> list[float]:
    """The dimension of the frontier for each seed, in float32."""
    index = setting.depths.index(depth)
    return [
        frontier_dimension(setting, float32_landscapes(setting, architecture, seed)[index])
        for seed in setting.seeds
    ]
