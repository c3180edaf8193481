"""Growth rates of distances and gradients per layer, fitted over a fixed window of layers."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import torch
from torch import Tensor

from . import forward_pass, networks
from .networks import Architecture
from .settings import Setting

INPUT_DISTANCE = 1e-6
"""Distance of the two inputs, relative to the norm of the first."""
ROUNDING = 1e-29
"""Squared distances below it are rounding in float64 (differences of 3e-15), where activations are of order 1."""


def fitted_slopes(log: Tensor, first: int) -> Tensor:
    """The slope per layer of each column, from layer ``first`` (counted from 1) to the last, by least squares.

    Args:
        log: logarithms after layers 1, 2, …, ``(depth, P)``.

    Returns:
        ``(P,)``; nan for a column that is not finite in the window, and if the window has fewer than 5 layers.
    """
    window = log[first - 1 :]
    layers = torch.arange(len(window), dtype=log.dtype) - (len(window) - 1) / 2
    slope = (layers @ window) / layers.square().sum()
    good = window.isfinite().all(0) & (len(window) >= 5)
    return torch.where(good, slope, math.nan)


@cache
def close_log_distances(
    setting: Setting,
    architecture: Architecture,
    width: int,
    points: tuple[tuple[float, float], ...],
    seeds: int,
) -> Tensor:
    """Log squared distances of close inputs over layers: ``(seeds, depth, len(points))``, float64.

    Args:
        points: σ_w and σ_b.
    """
    sigmas = torch.tensor(points, dtype=torch.float64).T.contiguous()
    depths = tuple(range(1, setting.slope_depth + 1))
    logs = []
    for seed in range(seeds):
        network = networks.draw_network(architecture, width, setting.slope_depth, seed)
        inputs = networks.close_inputs(width, seed, INPUT_DISTANCE)
        distances = forward_pass.network_distances(network, inputs, sigmas, depths, setting.float64)
        logs.append(log_above_rounding(distances, sigmas[1]))
    return torch.stack(logs)


def log_above_rounding(distances: Tensor, sigma_b: Tensor) -> Tensor:
    """The log of squared distances ``(depth, P)``; minus infinity where they are rounding errors.

    Without biases the activations shrink with the distances, so these stay accurate however small.
    """
    floor = torch.where(sigma_b == 0, 0.0, ROUNDING)
    return torch.where(distances > floor, distances, 0.0).log()


def mean_slopes(setting: Setting, logs: Tensor) -> np.ndarray:
    """Mean over seeds of the fitted slopes: ``(P,)``."""
    return torch.stack([fitted_slopes(log, setting.fit_from) for log in logs]).mean(0).numpy()
