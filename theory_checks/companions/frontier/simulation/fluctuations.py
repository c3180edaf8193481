"""The exponent of a finite MLP to first order in 1/N, with all terms of that order.

The specification has the fluctuation of the sum over the N units of one layer, ``−(3κ−1)/4``, and ignores the
fluctuation of the variance q of pre-activations. That term and the overlap ρ of the tangent with the activations are
of the same order. With q and ρ stationary,

    N λ_N → −(3κ−1)/4 + ½ [(ln G)' N δq + ½ (ln G)'' N Var q − 4 s²/(1+4q) N E ρ²],

with ``G = E φ'²``, ``s² = q − σ_b²``, and, V(q) being the mean-field map and η the noise of one layer,

    N Var q = σ_w⁴ Var(φ²)/(1 − V'²),   δq = ½ V'' Var q/(1 − V'),
    N E ρ² = [E φ²φ'²/(E φ² E φ'²)]/(1 − m²),   m = σ_w √G/(1+2q).

m is by how much a layer shrinks the mean overlap (Stein's identity), and a tangent of overlap ρ grows by
``σ_w² G (1 − 4 s²ρ²/(1+4q))``. Derived here.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy.special import erf

from . import mean_field

_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(160)


def coefficient(sigma_b: float) -> float:
    """``lim N λ_N`` on the edge of chaos, λ_N per layer of the logarithm of a distance (not squared)."""
    sigma_w = mean_field.edge_sigma_w(sigma_b)
    q = mean_field.fixed_variance(sigma_w, sigma_b)
    return first_part(q) + sum(neglected(sigma_w, sigma_b, q))


def first_part(q: float) -> float:
    """``−(3κ−1)/4``, the term of the fluctuations within one layer."""
    return -(3 * mean_field.kappa(q) - 1) / 4


def neglected(sigma_w: float, sigma_b: float, q: float) -> tuple[float, float, float]:
    """The terms of the mean of q, of the variance of q, and of the overlap."""
    activation = _mean(q, lambda z: erf(z) ** 2)
    slope = 4 * sigma_w**2 / math.pi / ((1 + 2 * q) * math.sqrt(1 + 4 * q))
    curvature = -slope * (2 / (1 + 2 * q) + 2 / (1 + 4 * q))
    variance = sigma_w**4 * (_mean(q, lambda z: erf(z) ** 4) - activation**2) / (1 - slope**2)
    moved = curvature * variance / (2 * (1 - slope))
    gain = _mean(q, lambda z: _derivative(z) ** 2)
    shrunk = sigma_w * math.sqrt(gain) / (1 + 2 * q)
    noise = _mean(q, lambda z: (erf(z) * _derivative(z)) ** 2) / (activation * gain)
    overlap = noise / (1 - shrunk**2)
    return (
        -moved / (1 + 4 * q),
        2 * variance / (1 + 4 * q) ** 2,
        -2 * (q - sigma_b**2) / (1 + 4 * q) * overlap,
    )


def _derivative(z: np.ndarray) -> np.ndarray:
    return 2 / math.sqrt(math.pi) * np.exp(-z * z)


def _mean(q: float, function: Callable[[np.ndarray], np.ndarray]) -> float:
    """The mean over z ~ N(0, q), by Gauss–Hermite quadrature."""
    return float(_WEIGHTS @ function(math.sqrt(q) * _NODES) / _WEIGHTS.sum())
