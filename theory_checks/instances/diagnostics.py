"""Diagnose from applications and products whether a map lies outside the theory (PROOFS S10)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from bench.measurement.jacobian_norm import jacobian_norm
from solvers import FixedSteps, Map

STALLED = 1.2
"""A regime index below this is not a linear rate: 2 is linear, 1 sublinear, 0 stagnation."""
SLOW_DECAY = 0.995
"""An adjoint with a decay per product above this does not become small at any affordable depth."""
FLOOR = 1e-13
"""Relative residuals below this are rounding."""


def regime_index(T: Map, x0: Tensor, N: int = 32) -> float:
    """``log(r_4N/r_2N) / log(r_2N/r_N)``, where ``r_k`` is the relative residual of step k.

    2 for a linear rate, 1 for a sublinear one, 0 if the residual does not shrink, ``inf`` if it is rounding at 4N.
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
    """``(‖w_K‖/‖w_0‖)^{1/K}`` with ``w_k = (J(x)ᵀ)^k v`` and ``K = steps``: the rate of the Neumann series at x."""
    vjp = torch.func.vjp(T, x)[1]
    w = v
    for _ in range(steps):
        w = vjp(w)[0].detach()
    size = float(torch.linalg.vector_norm(v))
    return (float(torch.linalg.vector_norm(w)) / size) ** (1 / steps) if size else 0.0


def settled_point(T: Map, x0: Tensor) -> Tensor:
    """The state after 200 plain steps: the point at which a map is diagnosed."""
    with torch.no_grad():
        return FixedSteps(200)(T, x0).x


def why_not_contractive(T: Map, x: Tensor, *, rounding: float = 1e-9) -> str | None:
    """Why T is no contraction in the 2-norm, seen at ``x``, or ``None`` if no reason was found.

    Args:
        T: the map.
        x: where its iteration ended.
        rounding: distance of ``‖J‖`` below 1 that counts as 1.

    A reason is rigorous: the iteration of a contraction stays bounded, and power iteration bounds ``‖J‖`` from below.
    """
    if not bool(x.isfinite().all()):
        return "the iteration leaves every bounded set"
    size = jacobian_norm(T, x).value
    if size >= 1 - rounding:
        return f"‖J‖ ≥ {size:.4f} where it ended, by power iteration: no contraction in the 2-norm"
    return None


def why_outside_theory(T: Map, x0: Tensor) -> str | None:
    """Why the theory does not apply to T started at ``x0``, or ``None`` if no reason was found.

    A reason of ``why_not_contractive`` is rigorous. A residual that stalls, or an adjoint that does not decay, is only
    a sign. ``None`` is no proof that the theory applies.
    """
    # A slow map with kinks shows its rate late, so it stalls only if it still does after many more steps.
    index = max(regime_index(T, x0, N) for N in (32, 128))
    if index < STALLED:
        return f"the residual stalls (regime index {index:.2f}; 2 is a linear rate)"
    x = settled_point(T, x0)
    if (reason := why_not_contractive(T, x)) is not None:
        return reason
    v = torch.randn(x.shape, generator=torch.Generator().manual_seed(1), dtype=x.dtype).to(x.device)
    decay = adjoint_decay(T, x, v)
    if decay >= SLOW_DECAY:
        return f"the adjoint shrinks by {decay:.4f} a product: its series does not converge in practice"
    return None


def kink_margin(coefficients: Tensor, thresholds: Tensor) -> float:
    """``min_i ||u_i| − t_i|`` over the positive thresholds: distance of the coefficients to the kinks of their prox."""
    return float((coefficients.abs() - thresholds)[:, thresholds > 0].abs().min())
