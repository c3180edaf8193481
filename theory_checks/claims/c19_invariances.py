"""C19. What the exact gradient does not notice.

Relaxation ``(1−α)I + αT`` and left preconditioning ``x − M(x − T(x))`` leave the implicit gradient unchanged,
since both multiply ``I − J`` and B from the left by the same matrix; and scaling the loss by c scales the
estimate by c, which an absolute tolerance in the adjoint solve breaks. Equality, with the real ``deq``.
One-layer JFB notices all of the first two.

Source: PROOFS S1(b), S1(c).
"""

from __future__ import annotations

import dataclasses

import torch
from hypothesis import strategies as st
from torch import Tensor

from solvers import Solver, deq, jfb

from .. import cases
from ..cases import Case, Loss, Parametric
from ..claim import Claim, Sides
from ..exact import estimate, exact, norm


class Preconditioned(Parametric):
    """``x − M(x − T(x))``; relaxation is ``M = αI``."""

    M: Tensor

    def __init__(self, T: Parametric, M: Tensor) -> None:
        super().__init__()
        self.T = T
        self.theta = T.theta
        self.register_buffer("M", M)

    def forward(self, x: Tensor) -> Tensor:
        """One application."""
        return x - self.M @ (x - self.T(x))


def _sides(case: Case, alpha: float, seed: int, c: float, solver: Solver) -> Sides:
    n = len(case.x0)
    tilt = 0.1 * cases.normal(seed, n, n) / n
    changed = [
        dataclasses.replace(case, T=Preconditioned(case.T, alpha * torch.eye(n, dtype=torch.float64))),
        dataclasses.replace(case, T=Preconditioned(case.T, torch.eye(n, dtype=torch.float64) - tilt)),
    ]
    loss = case.loss
    scaled = dataclasses.replace(case, loss=Loss(loss.target, c * loss.q, c * loss.M))
    plain = estimate(solver, case)
    gaps = [norm(estimate(solver, other) - plain) for other in changed]
    gaps.append(norm(estimate(solver, scaled) / c - plain))
    return Sides(max(gaps), 0.0, norm(plain) + norm(exact(case).v))


CLAIM = Claim(
    id="C19",
    statement="relaxation and preconditioning leave g_DEQ unchanged; c·ℓ gives c·g",
    source="PROOFS S1(b), S1(c)",
    assumptions="L < 1",
    examples=st.tuples(
        st.one_of(cases.affines, cases.tanhs, cases.networks),
        st.sampled_from((0.3, 0.7, 1.0)),
        cases.seeds,
        st.sampled_from((1e-6, 1e-2, 1e3)),
    ),
    sides=lambda case, alpha, seed, c: _sides(case, alpha, seed, c, deq(1e-13, 800)),
    too_strong=lambda case, alpha, seed, c: _sides(case, alpha, seed, c, jfb(400)),
    twin="JFB does not notice either",
    rounding=1e-8,
)
