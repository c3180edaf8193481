"""Decay rates and exponents by least squares; nan if there are too few points, or a value is not finite."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

FEWEST = 8
"""A fit of fewer points is not trusted."""


def energy_norm(r: Tensor, dr: Tensor, mu: float) -> Tensor:
    """``√(|r|² + |r′|²/µ)`` over the last dimension: unlike ``|r|`` it does not oscillate through zero."""
    return (r.square().sum(-1) + dr.square().sum(-1) / mu).sqrt()


def decay(t: Tensor, values: Tensor, low: float = 1e-8, high: float = 1e-2) -> float:
    """The rate of exponential decay: minus the slope of ``log(values)``.

    Args:
        t, values: shape ``(T,)``.
        low, high: window of the fit, relative to the first value: from where the values first are at most ``high`` to
            just before they first fall below ``low``.

    Returns:
        nan where the window holds fewer than eight points or a value that is not finite.
    """
    x, v = t.double().cpu().numpy(), values.double().cpu().numpy()
    if len(v) == 0 or not np.isfinite(v).all() or not v[0] > 0:
        return math.nan
    relative = v / v[0]
    inside = (np.cumsum(relative <= high) > 0) & (np.cumsum(relative < low) == 0)
    if inside.sum() < FEWEST:
        return math.nan
    return -float(np.polyfit(x[inside], np.log(relative[inside]), 1)[0])


def log_slope(x: list[float], y: list[float]) -> float:
    """The exponent s of ``y ~ x^s``; nan if a value is not positive, or there are fewer than three."""
    a, b = np.asarray(x, float), np.asarray(y, float)
    if len(a) < 3 or not (np.isfinite(a) & np.isfinite(b) & (a > 0) & (b > 0)).all():
        return math.nan
    return float(np.polyfit(np.log(a), np.log(b), 1)[0])


def first_below(values: Tensor, level: float) -> int:
    """The first index at which ``values`` is at most ``level``, or −1."""
    indices = torch.nonzero(values <= level)
    return int(indices[0]) if len(indices) else -1
