"""The kernel ``K = A J Jᵀ Aᵀ``, and the exact responses, rates and linear factors of the system with K constant.

With K constant the inertial system is ``r″ + (α + βλ) r′ + λ r = 0`` in each eigenvector of K, with ``r′(0) = 0``.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .activations import F64
from .network import TwoLayer

RANK = 1e-9
"""Eigenvalues below this share of the largest count as zero: their eigenvectors are in the null space of Aᵀ."""


def kernel(A: Tensor, J: Tensor) -> Tensor:
    """``A J Jᵀ Aᵀ``, shape ``(m, m)``."""
    return A @ J @ J.T @ A.T


def modes(K: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues, ascending, shape ``(m,)``, and eigenvectors as columns."""
    values, vectors = torch.linalg.eigh(K)
    return values, vectors


def network_modes(fit: TwoLayer, z: Tensor) -> tuple[Tensor, Tensor]:
    """``modes`` of the kernel of a network at z, of shape ``(k,)``."""
    return modes(kernel(fit.problem.A, fit.jacobian(z)))


def nonzero(values: Tensor) -> Tensor:
    """The eigenvalues of K on the range of A."""
    return values[values > RANK * values.max()]


def smallest(values: Tensor) -> float:
    """``µ``: the smallest eigenvalue of K on the range of A."""
    return float(nonzero(values).min())


def response(lam: Tensor, alpha: Tensor, beta: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """The solution of a mode with ``r(0) = 1`` and ``r′(0) = 0``, by the exponential of its 2×2 matrix.

    The closed form has ``sin(ωt)/ω``, which is 0/0 at critical damping.

    Args:
        lam, alpha, beta, t: eigenvalues, damping and times, of shapes that broadcast.

    Returns:
        ``r`` and ``r′``, in the common shape.
    """
    lam, alpha, beta, t = torch.broadcast_tensors(lam, alpha, beta, t)
    first = torch.stack([torch.zeros_like(lam), torch.ones_like(lam)], -1)
    second = torch.stack([-lam, -(alpha + beta * lam)], -1)
    flow = torch.linalg.matrix_exp(torch.stack([first, second], -2) * t[..., None, None])
    return flow[..., 0, 0], flow[..., 1, 0]


def mode_rate(lam: Tensor, alpha: Tensor | float, beta: Tensor | float) -> Tensor:
    """The decay rate of a mode, ``a − √max(a² − λ, 0)`` with ``a = (α + βλ)/2``."""
    a = (alpha + beta * lam) / 2
    return a - (a.square() - lam).clamp(min=0).sqrt()


def rate(values: Tensor, alpha: float, beta: float) -> float:
    """``ρ(α, β)``: the smallest rate over the modes in the range of A."""
    return float(mode_rate(nonzero(values), alpha, beta).min())


def best_alpha(mu: float, beta: float) -> float:
    """``α* = 2√µ − βµ``, at which ``ρ = √µ`` for every β in [0, 1/√µ]."""
    return 2 * mu**0.5 - beta * mu


def envelope(rho: Tensor | float, t: Tensor) -> Tensor:
    """``(1 + ρt) e^(−ρt)``, the bound T1 on ``|r(t)| / |r(0)|``."""
    return (1 + rho * t) * torch.exp(-rho * t)


def factor(values: Tensor, alpha: float, beta: float, h: float) -> float:
    """The linear factor q of ISEHD with a constant step h on a quadratic: the largest modulus of a root, over the
    modes.

    A mode has the polynomial ``z² − (1 + a − bλ − sλ) z + (a − bλ)`` with ``a = 1/(1 + αh)``, ``b = βha``, ``s = h²a``.
    """
    lam, a = nonzero(values).cpu(), 1 / (1 + alpha * h)
    b, s = beta * h * a, h * h * a
    trace, det = 1 + a - (b + s) * lam, a - b * lam
    companion = torch.zeros(len(lam), 2, 2, dtype=F64)
    companion[:, 0, 1], companion[:, 1, 0], companion[:, 1, 1] = 1, -det, trace
    return float(torch.linalg.eigvals(companion).abs().max())
