"""C22. With momentum ``‖J‖₂ > 1`` although the iteration converges, so the bound needs another norm.

With ``ρ(J) < s < 1`` the discrete Lyapunov equation ``(J/s)ᵀP(J/s) − P = −I`` has a positive definite solution
``P = CᵀC``, and ``‖J‖_P = ‖CJC⁻¹‖₂ < s``. Every bound holds in that norm; C4 reads, with ``q = ‖J‖_P^K``,

‖g_K − g_DEQ‖ ≤ ‖C ∂_θΦ_K‖ · q/(1 − q) · ‖C⁻ᵀv‖.

The 2-norm bound with ρ(J) in place of L is false, because ``‖J^K‖₂`` grows at first. Checked on the heavy ball
``x⁺ = x − τ(Hx − θ − c) + β(x − x⁻)`` in the state ``(x, x⁻)``, stable iff ``0 ≤ β < 1`` and
``0 < τ λ_max < 2(1+β)``.

Source: Polyak (1964) for the iteration; PROOFS S8(f), S3(b).
"""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import strategies as st
from scipy.linalg import solve_discrete_lyapunov
from torch import Tensor

from solvers import restarted_jfb

from ..engine import Claim, Sides
from ..instances import (
    F64,
    AffineMap,
    Case,
    QuadraticLoss,
    power_sum,
    solve_exactly,
    solver_gradient,
    standard_normal,
    synthetic,
    two_norm,
)


def heavy_ball(n: int, kappa: float, beta: float, step: float, seed: int) -> Case:
    """The heavy ball on a quadratic of condition number ``kappa``; stable iff ``step = τ λ_max / (2(1+β)) < 1``."""
    Q = torch.linalg.qr(standard_normal(seed + 10, n, n)).Q
    H = Q @ torch.diag(torch.linspace(1 / kappa, 1, n, dtype=F64)) @ Q.T
    tau = 2 * (1 + beta) * step
    identity, zero = torch.eye(n, dtype=F64), torch.zeros(n, n, dtype=F64)
    W = torch.cat(
        (torch.cat(((1 + beta) * identity - tau * H, -beta * identity), 1), torch.cat((identity, zero), 1))
    )
    V, c = (
        torch.cat((tau * identity, zero)),
        torch.cat((tau * standard_normal(seed + 1, n), torch.zeros(n, dtype=F64))),
    )
    # The loss depends on both halves of the state, which are equal at the equilibrium.
    loss = QuadraticLoss(standard_normal(seed + 3, 2 * n), 1.0, torch.zeros(n, 2 * n, dtype=F64))
    name = f"heavy_ball(n={n}, kappa={kappa!r}, beta={beta!r}, step={step!r}, seed={seed})"
    return Case(
        name,
        AffineMap(W, V, c, standard_normal(seed, n)),
        standard_normal(seed + 2, 2 * n),
        loss,
        two_norm(W),
        0.0,
        0.0,
    )


def lyapunov_factor(J: Tensor, s: float) -> Tensor:
    """A matrix C with ``‖CJC⁻¹‖₂ < s``, for s above the spectral radius of J."""
    P = solve_discrete_lyapunov((J.T / s).numpy(), np.eye(len(J)))
    return torch.linalg.cholesky(torch.from_numpy(P)).T


def largest_eigenvalue_modulus(J: Tensor) -> float:
    """The spectral radius of J."""
    return float(torch.linalg.eigvals(J).abs().max())


def _outside(case: Case, K: int, between: float) -> str | None:
    assert isinstance(case.T, AffineMap)
    rho = largest_eigenvalue_modulus(case.T.W)
    return None if rho < 1 - 1e-6 else f"spectral radius {rho:.6g}: it does not converge"


def _sides(case: Case, K: int, between: float) -> Sides:
    e = solve_exactly(case)
    rho = largest_eigenvalue_modulus(e.J)
    C = lyapunov_factor(e.J, rho + between * (1 - rho))
    inverse = torch.linalg.inv(C)
    q = two_norm(C @ e.J @ inverse) ** K
    error = two_norm(solver_gradient(restarted_jfb(K, 0), case, e.x) - e.gradient)
    P_K = power_sum(e.J, K) @ e.B
    return Sides(error, two_norm(C @ P_K) * q / (1 - q) * two_norm(inverse.T @ e.v), two_norm(e.gradient))


def _negative_control(case: Case, K: int, between: float) -> Sides:
    e = solve_exactly(case)
    q = largest_eigenvalue_modulus(e.J) ** K
    error = two_norm(solver_gradient(restarted_jfb(K, 0), case, e.x) - e.gradient)
    return Sides(error, two_norm(power_sum(e.J, K) @ e.B) * q / (1 - q) * two_norm(e.v), two_norm(e.gradient))


balls = st.builds(
    heavy_ball,
    synthetic.sizes,
    st.sampled_from((1.5, 5.0, 20.0)),
    st.sampled_from((0.2, 0.5, 0.8)),
    st.sampled_from((0.1, 0.4, 0.8, 1.1)),
    synthetic.seeds,
)

CLAIM = Claim(
    id="C22",
    statement="‖g_K − g_DEQ‖ ≤ ‖C ∂_θΦ_K‖ · q/(1−q) · ‖C⁻ᵀv‖ with q = ‖CJC⁻¹‖^K, for momentum with ‖J‖₂ > 1",
    source="PROOFS S8(f), S3(b)",
    assumptions="spectral radius of J below 1",
    examples=st.tuples(balls, st.integers(1, 30), st.sampled_from((0.1, 0.5, 0.9))),
    sides=_sides,
    negative_control=_negative_control,
    false_statement="the 2-norm bound with the spectral radius for L",
    outside=_outside,
)
