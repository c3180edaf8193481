"""The σ_w at which the mean log distance crosses the threshold, along a line of constant σ_b."""

from __future__ import annotations

import math
from functools import cache

import torch
from scipy.optimize import root_scalar
from torch import Tensor

from . import fluctuations, forward_pass, mean_field, networks
from .networks import Architecture
from .settings import Setting

SIGMA_B = 1.0
SIGMA_W_RANGE = (1.4, 2.0)
"""Range of σ_w that is searched."""
SMALLEST = 1e-32
"""Squared distances are clamped to it: activations of order 1 are rounded at 1e-16."""


def crossing_line(setting: Setting) -> Tensor:
    """The values of σ_w at which distances are measured."""
    return torch.linspace(*SIGMA_W_RANGE, setting.crossing_points, dtype=torch.float64)


@cache
def mean_log_distances(
    setting: Setting, architecture: Architecture, width: int, depths: tuple[int, ...]
) -> Tensor:
    """Mean over seeds of log squared distances of independent inputs: ``(len(depths), crossing_points)``."""
    line = crossing_line(setting)
    where = torch.stack([line, torch.full_like(line, SIGMA_B)])
    total = torch.zeros(len(depths), len(line), dtype=torch.float64)
    for seed in range(setting.crossing_seeds):
        network = networks.draw_network(architecture, width, depths[-1], seed)
        inputs = networks.two_inputs(width, seed)
        total += (
            forward_pass.network_distances(network, inputs, where, depths, setting.float64)
            .clamp_min(SMALLEST)
            .log()
        )
    return total / setting.crossing_seeds


def measured_crossing(line: Tensor, logs: Tensor, threshold: float) -> float:
    """The crossing of the threshold, located by the number of points of the line that are below it.

    For a monotone curve that is its crossing; for one that crosses several times, a crossing in the middle.

    Returns:
        σ_w; nan if no point or every point is below, or a value is not finite.
    """
    below = int((logs < math.log(threshold)).sum())
    if below in (0, len(line)) or not bool(logs.isfinite().all()):
        return math.nan
    return float((line[below - 1] + line[below]) / 2)


@cache
def crossing_with_transient(width: int, depth: int, threshold: float) -> float:
    """The predicted crossing, including the first layers, in which the inputs are not yet close.

    Mean-field distances are iterated, and each layer multiplies them by ``exp(2c/N)`` as well, where c/N is the
    exponent to first order (``fluctuations``). The law of the specification has ``ln χ`` for every layer, as if the
    inputs were close from the start; until they are, distances fall faster than that.
    """
    lost = math.exp(2 * fluctuations.coefficient(SIGMA_B) / width)

    def above(sigma_w: float) -> float:
        weight = torch.tensor(sigma_w, dtype=torch.float64)
        bias = torch.tensor(SIGMA_B, dtype=torch.float64)
        q, c = weight**2 + bias**2, bias**2
        for _ in range(depth - 1):
            q, c = mean_field.next_moments(q, c, weight, bias)
            c = q - lost * (q - c)
        distance = 2 * (mean_field.overlap(q, q) - mean_field.overlap(c, q))
        return math.log(max(float(distance), SMALLEST)) - math.log(threshold)

    return float(root_scalar(above, bracket=(1.0, 3.0), xtol=1e-6).root)
