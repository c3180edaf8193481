"""The band of σ_w at σ_b = 1 in which a network separates two inputs and does not amplify a perturbation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

from . import forward_pass, mean_field, networks
from .networks import Architecture
from .settings import Setting

SIGMA_W_RANGE = (0.5, 3.4)
"""Range of σ_w that is searched."""
SIGMA_B = 1.0
SEPARATION = 1e-2
"""Inputs count as separated if ``L`` of independent inputs is above it."""
AMPLIFICATION = 1e2
"""A perturbation counts as not amplified if its squared distance grows by less than this factor."""
INPUT_DISTANCE = 1e-6
"""Distance of the two close inputs, relative to the norm of the first."""


@dataclass(frozen=True, slots=True)
class Band:
    """An interval of σ_w: inputs are separated above ``low``, perturbations stay small below ``high``."""

    low: float
    high: float

    @property
    def width(self) -> float:
        """The length of the interval; nan if an end was not found."""
        return self.high - self.low

    def distance_from(self, sigma_w: float) -> float:
        """The distance of a point from the interval; 0 inside."""
        return max(self.low - sigma_w, sigma_w - self.high, 0.0)


def band_line(setting: Setting) -> Tensor:
    """σ_w and σ_b of the points on the line σ_b = 1: ``(2, band_points)``."""
    sigma_w = torch.linspace(*SIGMA_W_RANGE, setting.band_points, dtype=torch.float64)
    return torch.stack([sigma_w, torch.full_like(sigma_w, SIGMA_B)])


def upward_crossing(sigma_w: np.ndarray, logs: np.ndarray, level: float) -> float:
    """The σ_w at which ``logs`` first rises above ``log level``, by linear interpolation; nan if it never does."""
    above = logs > math.log(level)
    first = int(np.argmax(above))
    if first == 0 or not np.isfinite(logs[first - 1 : first + 1]).all():
        return math.nan
    rise = (math.log(level) - logs[first - 1]) / (logs[first] - logs[first - 1])
    return float(sigma_w[first - 1] + rise * (sigma_w[first] - sigma_w[first - 1]))


def _bands(sigma_w: Tensor, separation: Tensor, amplification: Tensor) -> tuple[Band, ...]:
    return tuple(
        Band(
            upward_crossing(sigma_w.numpy(), s, SEPARATION),
            upward_crossing(sigma_w.numpy(), a, AMPLIFICATION),
        )
        for s, a in zip(separation.numpy(), amplification.numpy(), strict=True)
    )


@cache
def mean_field_bands(setting: Setting) -> tuple[Band, ...]:
    """The bands of infinite width, one for each of ``band_depths``."""
    w, b = band_line(setting)
    separation = mean_field.mean_field_distances(w, b, setting.band_depths).log()
    return _bands(w, separation, mean_field.amplification(w, b, setting.band_depths).log())


@cache
def network_bands(setting: Setting) -> tuple[Band, ...]:
    """The bands of MLPs of ``band_width``, from the mean over seeds of the log distances."""
    where = band_line(setting)
    shape = (2, len(setting.band_depths), setting.band_points)
    total = torch.zeros(shape, dtype=torch.float64)
    for seed in range(setting.band_seeds):
        network = networks.draw_network(Architecture.MLP, setting.band_width, setting.band_depths[-1], seed)
        for row, inputs in enumerate(
            (
                networks.two_inputs(setting.band_width, seed),
                networks.close_inputs(setting.band_width, seed, INPUT_DISTANCE),
            )
        ):
            distances = forward_pass.network_distances(
                network, inputs, where, setting.band_depths, setting.float64
            )
            total[row] += distances.clamp_min(1e-32).log()
    separation, close = total / setting.band_seeds
    return _bands(where[0], separation, close - 2 * math.log(INPUT_DISTANCE))


def width_exponent(depths: tuple[int, ...], bands: tuple[Band, ...]) -> float:
    """The slope of log width over log depth; nan if a band is empty or has no end."""
    widths = np.array([band.width for band in bands])
    if not (widths > 0).all():
        return math.nan
    return float(np.polyfit(np.log(depths), np.log(widths), 1)[0])
