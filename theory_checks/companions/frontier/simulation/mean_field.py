"""The limit of infinite width: second moments of the pre-activations, and the edge of chaos in closed form.

For ``x = erf(z)`` with jointly Gaussian z of variances q and covariance c, ``E x₁x₂ = (2/π) asin(2c/(1+2q))``
(Williams 1997). All functions follow from that identity; the edge of chaos agrees with the closed form in an older
version of the authors' code.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.optimize import root_scalar
from torch import Tensor


def overlap(c: Tensor, q: Tensor) -> Tensor:
    """``E erf(z₁) erf(z₂)`` for variances q and covariance c."""
    return 2 / math.pi * torch.asin(2 * c / (1 + 2 * q))


def next_moments(q: Tensor, c: Tensor, sigma_w: Tensor, sigma_b: Tensor) -> tuple[Tensor, Tensor]:
    """Variance and covariance of the pre-activations one layer on."""
    bias = sigma_b**2
    return sigma_w**2 * overlap(q, q) + bias, sigma_w**2 * overlap(c, q) + bias


def susceptibility(q: Tensor, sigma_w: Tensor) -> Tensor:
    """χ, the factor by which a layer of variance q multiplies a small squared distance of pre-activations."""
    return sigma_w**2 * (4 / math.pi) / torch.sqrt(1 + 4 * q)


def mean_field_distances(sigma_w: Tensor, sigma_b: Tensor, depths: tuple[int, ...]) -> Tensor:
    """``E‖x₁ − x₂‖²/N`` after layers ``depths`` of two orthogonal inputs of norm √N.

    Args:
        sigma_w, sigma_b: float64, of one shape.
        depths: increasing, from 1.

    Returns:
        ``(len(depths), *shape)``.
    """
    bias = sigma_b**2
    q, c = sigma_w**2 + bias, bias.clone()
    distances = []
    for depth in range(1, depths[-1] + 1):
        if depth in depths:
            distances.append(2 * (overlap(q, q) - overlap(c, q)))
        q, c = next_moments(q, c, sigma_w, sigma_b)
    return torch.stack(distances)


def amplification(sigma_w: Tensor, sigma_b: Tensor, depths: tuple[int, ...]) -> Tensor:
    """``lim ε→0 E‖x₁ − x₂‖²/(N ε²)`` after layers ``depths`` of inputs ``x, x + ε ξ`` with ``‖ξ‖² = ‖x‖² = N``.

    The distance of post-activations: pre-activations of a layer differ by σ_w² as much as its inputs do, and erf
    multiplies by ``E erf'² = (4/π)/√(1+4q)``, so that a layer multiplies by χ(q).
    """
    q = sigma_w**2 + sigma_b**2
    log = torch.zeros_like(q)
    factors = []
    for depth in range(1, depths[-1] + 1):
        log = log + susceptibility(q, sigma_w).log()
        if depth in depths:
            factors.append(log.exp())
        q, _ = next_moments(q, q, sigma_w, sigma_b)
    return torch.stack(factors)


def fixed_variance(sigma_w: float, sigma_b: float, steps: int = 20_000) -> float:
    """q*, the variance of pre-activations deep in the network; iterated from above, and converged to 1e-14."""
    q = sigma_w**2 + sigma_b**2
    for _ in range(steps):
        further = sigma_w**2 * (2 / math.pi) * math.asin(2 * q / (1 + 2 * q)) + sigma_b**2
        if abs(further - q) <= 1e-14 * max(q, 1e-14):
            return further
        q = further
    return q


def log_chi(sigma_w: float, sigma_b: float) -> float:
    """ln χ at q*, the growth rate of log squared distances per layer."""
    q = torch.tensor(fixed_variance(sigma_w, sigma_b), dtype=torch.float64)
    return susceptibility(q, torch.tensor(sigma_w, dtype=torch.float64)).log().item()


def edge_sigma_b(sigma_w: np.ndarray) -> np.ndarray:
    """σ_b on the edge of chaos χ(q*) = 1; nan below σ_w = √π/2, where there is none.

    χ = 1 gives ``1 + 4q = 16 σ_w⁴/π²``; with it the fixed-point equation is solved for σ_b².
    """
    q = (16 * sigma_w**4 / math.pi**2 - 1) / 4
    square = q - sigma_w**2 * (2 / math.pi) * np.arcsin(2 * q / (1 + 2 * q))
    outside = (q < -1e-15) | (square < -1e-12)
    return np.where(outside, np.nan, np.sqrt(np.maximum(square, 0)))


def edge_sigma_w(sigma_b: float) -> float:
    """σ_w on the edge of chaos; 0 ≤ σ_b ≤ 20."""
    least = math.sqrt(math.pi) / 2
    if sigma_b == 0:
        return least
    solution = root_scalar(
        lambda s: float(edge_sigma_b(np.array(s))) - sigma_b, bracket=(least, 30.0), xtol=1e-13
    )
    return float(solution.root)


def kappa(q: float) -> float:
    """κ = ``E φ'⁴/(E φ'²)²`` for φ = erf, which is ``(1+4q)/√(1+8q)``: the fluctuations of a finite layer."""
    return (1 + 4 * q) / math.sqrt(1 + 8 * q)


def finite_width_correction(q: float, width: int) -> float:
    """The correction of the growth rate of squared distances at width N: ``−(3κ − 1)/(2N)``.

    ``E log (1/N)Σφ'²g² ≈ log E − Var/2`` with ``Var = (3κ − 1)/N``, for independent Gaussian g.
    """
    return -(3 * kappa(q) - 1) / (2 * width)


def predicted_crossing(sigma_b: float, width: int, depth: int, threshold: float) -> float:
    """σ_w at which log distances reach ``log threshold`` after ``depth`` layers.

    The root of ``ln χ(σ_w) − (3κ−1)/(2N) + ln(1/threshold)/depth``, κ on the edge of chaos.
    """
    edge = edge_sigma_w(sigma_b)
    shift = finite_width_correction(fixed_variance(edge, sigma_b), width)
    solution = root_scalar(
        lambda s: log_chi(s, sigma_b) + shift - math.log(threshold) / depth,
        bracket=(edge / 3, 3 * edge),
        xtol=1e-8,
    )
    return float(solution.root)
