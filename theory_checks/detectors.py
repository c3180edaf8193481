"""What tells, from applications and products alone, that a map is outside the theory (PROOFS S10)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from bench.lipschitz import jacobian_norm
from solvers import Iterate, Map

STALLED = 1.2
"""A regime index below this is not that of a linear rate: 2 is linear, 1 sublinear, 0 stagnation."""
SLOW_DECAY = 0.995
"""An adjoint that shrinks by less than this a product does not decay at a depth anybody could pay for."""
FLOOR = 1e-13
"""Residuals below this are rounding."""


def regime_index(T: Map, x0: Tensor, N: int = 32) -> float:
    """``log(r_4N/r_2N) / log(r_2N/r_N)`` of the residuals: 2 for a linear rate, 1 sublinear, 0 stagnation.

    ``inf`` where the residual is rounding by then; 0 where it does not shrink.
    """
    residuals: list[float] = []
    x = x0
    with torch.no_grad():
        for k in range(1, 4 * N + 1):
            y = T(x)
            if k in (N, 2 * N, 4 * N):
                scale = float(torch.linalg.vector_norm(y)) or 1.0
                residuals.append(float(torch.linalg.vector_norm(y - x)) / scale)
            x = y
    first, second, third = residuals
    if not all(map(math.isfinite, residuals)):
        return 0.0
    if third < FLOOR:
        return math.inf
    if not third < second < first:
        return 0.0
    return math.log(third / second) / math.log(second / first)


def adjoint_decay(T: Map, x: Tensor, v: Tensor, steps: int = 64) -> float:
    """``(‖w_K‖/‖w_0‖)^{1/K}`` of ``w_k = (Jᵀ)^k v``: the rate at which a Neumann series converges here."""
    pull = torch.func.vjp(T, x)[1]
    w = v
    for _ in range(steps):
        w = pull(w)[0].detach()
    size = float(torch.linalg.vector_norm(v))
    return (float(torch.linalg.vector_norm(w)) / size) ** (1 / steps) if size else 0.0


def settled(T: Map, x0: Tensor) -> Tensor:
    """Where 200 plain steps end: the point at which a map is examined."""
    with torch.no_grad():
        return Iterate(200)(T, x0).x


def refuted(T: Map, x: Tensor, *, rounding: float = 1e-9) -> str | None:
    """Why ``T``, settled at ``x``, is no contraction in the 2-norm, or ``None`` where that was not found.

    Rigorous: a contraction stays bounded, and power iteration is a lower bound of ``‖J‖``.
    """
    if not bool(x.isfinite().all()):
        return "the iteration leaves every bounded set"
    found = jacobian_norm(T, x)
    if found.value >= 1 - rounding:
        return f"‖J‖ ≥ {found.value:.4f} where it ended, by power iteration: no contraction in the 2-norm"
    return None


def outside(T: Map, x0: Tensor) -> str | None:
    """Why the theory does not apply to ``T`` started at ``x0``, or ``None`` where nothing speaks against it.

    What ``refuted`` finds is rigorous; a residual that stalls and an adjoint that does not decay are signs.
    Silence is no proof.
    """
    # A slow map with kinks needs a while to show its rate: it stalls if it still does after many more steps.
    index = max(regime_index(T, x0, N) for N in (32, 128))
    if index < STALLED:
        return f"the residual stalls (regime index {index:.2f}; 2 is a linear rate)"
    x = settled(T, x0)
    if (reason := refuted(T, x)) is not None:
        return reason
    v = torch.randn(x.shape, generator=torch.Generator().manual_seed(1), dtype=x.dtype).to(x.device)
    decay = adjoint_decay(T, x, v)
    if decay >= SLOW_DECAY:
        return f"the adjoint shrinks by {decay:.4f} a product: its series does not converge in practice"
    return None


def kink_margin(coefficients: Tensor, thresholds: Tensor) -> float:
    """``min_i ||u_i| − t_i|`` over the thresholds that are not 0: how near a coefficient is to a kink of its prox."""
    return float((coefficients.abs() - thresholds)[:, thresholds > 0].abs().min())
