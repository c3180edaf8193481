"""C5. When JFB is a descent direction.

Let B have full row rank (``p ≥ n``), and ``κ = cond(B Bᵀ)``. If ``‖J^K‖ < 2√κ/(1 + κ)``, then
``⟨g_DEQ, g_K⟩ > 0`` for every loss, and the cosine of the two gradients is bounded below. Checked as
``−cos(g_DEQ, g_K) ≤ 0`` on the least favourable maps of PROOFS S7, whose J is a Householder reflection chosen
for the worst loss. The paper's condition ``L^K < 1/κ``, with ``κ = cond(P_K P_Kᵀ)``, implies this one. Nothing
of the kind holds for ``p < n``: ``tests/theory_checks`` builds an instance with a negative cosine for every
``q > 0``.

Source: Fung et al. (arXiv 2103.12803); arXiv 2506.13239; PROOFS S7(ii).
"""

from __future__ import annotations

import math

import torch
from hypothesis import strategies as st

from solvers import restarted_jfb

from ..engine import Claim, Sides
from ..instances import AffineMap, Case, LinearLoss, solve_exactly, solver_gradient, standard_normal, two_norm

F64 = torch.float64


def extremal(n: int, kappa: float, share: float, seed: int) -> Case:
    """The map and the loss with the least ``⟨g_DEQ, g_1⟩``, at ``‖J‖`` equal to a ``share`` of the threshold of S7(ii).

    ``B Bᵀ = Q`` with eigenvalues from 1 to κ, adjoint ``u = √κ e_min + e_max`` and ``J = q H``, H the (symmetric)
    reflection that takes ``u/‖u‖`` to ``Qu/‖Qu‖``. The loss is linear, with ``v = (I − Jᵀ)u``.
    """
    q = share * 2 * math.sqrt(kappa) / (1 + kappa)
    basis = torch.linalg.qr(standard_normal(seed, n, n)).Q
    eigenvalues = torch.linspace(1, kappa, n, dtype=F64)
    B = basis @ torch.diag(eigenvalues.sqrt()) @ basis.T
    u = basis @ torch.tensor([math.sqrt(kappa), *[0.0] * (n - 2), 1.0], dtype=F64)
    a, b = u / u.norm(), (B @ B @ u) / (B @ B @ u).norm()
    mirror = (a - b) / (a - b).norm()
    J = q * (torch.eye(n, dtype=F64) - 2 * torch.outer(mirror, mirror))
    v = u - J.T @ u
    T = AffineMap(J, B, torch.zeros(n, dtype=F64), torch.zeros(n, dtype=F64))
    name = f"extremal(n={n}, kappa={kappa!r}, share={share!r}, seed={seed})"
    return Case(
        name, T, standard_normal(seed + 1, n), LinearLoss(v, 0.0, torch.zeros(n, n, dtype=F64)), q, 0.0, 0.0
    )


def uphill(q: float) -> Case:
    """A map with two unknowns and one parameter on which JFB points uphill for every ``q > 0`` (PROOFS S7(iv))."""
    J = torch.tensor([[0.0, 0.0], [q, 0.0]], dtype=F64)
    B = torch.tensor([[1.0], [0.0]], dtype=F64)
    u = torch.tensor([q / 2, 1.0], dtype=F64)
    # v = (I − Jᵀ)u. The exact gradient is u₁ = q/2, and JFB returns v₁ = u₁ − q u₂ = −q/2.
    v = u - J.T @ u
    T = AffineMap(J, B, torch.zeros(2, dtype=F64), torch.zeros(1, dtype=F64))
    return Case(
        f"uphill({q!r})",
        T,
        torch.zeros(2, dtype=F64),
        LinearLoss(v, 0.0, torch.zeros(1, 2, dtype=F64)),
        q,
        0.0,
        0.0,
    )


def cosine(case: Case, K: int) -> float:
    """The cosine of the angle between K-layer JFB at the equilibrium and the exact gradient."""
    e = solve_exactly(case)
    gradient = solver_gradient(restarted_jfb(K, 0), case, e.x)
    return float(gradient @ e.gradient) / (two_norm(gradient) * two_norm(e.gradient))


def _sides(n: int, kappa: float, share: float, seed: int) -> Sides:
    return Sides(-cosine(extremal(n, kappa, share, seed), 1), 0.0, 1.0)


CLAIM = Claim(
    id="C5",
    statement="⟨g_DEQ, g_K⟩ > 0 for every loss when ‖J^K‖ < 2√κ/(1+κ), κ = cond(B Bᵀ), p ≥ n",
    source="arXiv 2103.12803; PROOFS S7(ii)",
    assumptions="B of full row rank, J^K below the threshold",
    examples=st.tuples(
        st.integers(2, 5),
        st.sampled_from((2.0, 5.0, 20.0)),
        st.sampled_from((0.2, 0.5, 0.9, 0.99)),
        st.integers(0, 10_000),
    ),
    sides=_sides,
    negative_control=lambda n, kappa, share, seed: _sides(n, kappa, share * 4 / 3, seed),
    false_statement="a threshold larger by a third",
)
