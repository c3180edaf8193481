"""C19. Transformations that leave the gradient unchanged.

Relaxation ``(1−α)I + αT`` and left preconditioning ``x − M(x − T(x))`` leave the implicit gradient unchanged,
because both multiply ``I − J`` and B from the left by the same matrix. An equality, with the real ``deq``;
one-layer JFB does change.

Every solver is also homogeneous, however early it stops: a loss times c gives the gradient times c, and a map
in other units (``c T(x/c)``) gives the equilibrium times c. If c is a power of two, no number is rounded
differently, and both hold to the bit. An absolute tolerance, or an absolute ridge, breaks this at once.

Source: PROOFS S1(b), S1(c).
"""

from __future__ import annotations

import dataclasses

import torch
from hypothesis import strategies as st
from torch import Tensor

from solvers import (
    CG,
    GMRES,
    Anderson,
    Nesterov,
    Picard,
    QuasiNewton,
    SharedInverse,
    Solver,
    deq,
    implicit,
    jfb,
    phantom,
)

from ..engine import Claim, Sides, conjunction
from ..instances import (
    Case,
    ParametricMap,
    QuadraticLoss,
    solve_exactly,
    solver_gradient,
    synthetic,
    two_norm,
)
from ..instances.batches import batches, solver_map, solver_state


class Preconditioned(ParametricMap):
    """The map ``x − M(x − T(x))``. Relaxation is ``M = αI``."""

    M: Tensor

    def __init__(self, T: ParametricMap, M: Tensor) -> None:
        super().__init__()
        self.T = T
        self.theta = T.theta
        self.register_buffer("M", M)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the map once; x has shape ``(n,)``."""
        return x - self.M @ (x - self.T(x))


class Rescaled(ParametricMap):
    """The map ``c T(x/c)``: T in other units."""

    def __init__(self, T: ParametricMap, c: float) -> None:
        super().__init__()
        self.T, self.c = T, c
        self.theta = T.theta

    def forward(self, x: Tensor) -> Tensor:
        """Apply the map once; x has shape ``(n,)``."""
        return self.c * self.T(x / self.c)


def _invariant(case: Case, alpha: float, seed: int, solver: Solver) -> Sides:
    n = len(case.x0)
    tilt = torch.block_diag(*[_random_tilt(n // case.samples, seed + b) for b in range(case.samples)])
    identity = torch.eye(n, dtype=torch.float64)
    plain = solver_gradient(solver, case)
    changed = (
        dataclasses.replace(case, T=Preconditioned(case.T, M)) for M in (alpha * identity, identity - tilt)
    )
    gaps = [two_norm(solver_gradient(solver, other) - plain) for other in changed]
    return Sides(max(gaps), 0.0, two_norm(plain) + two_norm(solve_exactly(case).v))


def _random_tilt(n: int, seed: int) -> Tensor:
    return 0.1 * synthetic.standard_normal(seed, n, n) / n


def _homogeneous(case: Case, power: int, solver: Solver) -> list[Sides]:
    """Gradient and equilibrium under scaling, both to the bit."""
    c, loss = 2.0**power, case.loss
    louder = dataclasses.replace(case, loss=QuadraticLoss(loss.target, c * loss.q, c * loss.M))
    larger = dataclasses.replace(case, T=Rescaled(case.T, c))
    plain, scaled = solver_gradient(solver, case), solver_gradient(solver, louder) / c
    with torch.no_grad():
        x = solver(solver_map(case, divisible=False), solver_state(case, case.x0)).x
        rescaled = solver(solver_map(larger), solver_state(case, c * case.x0)).x / c
    return [
        Sides(two_norm(scaled - plain), BIT * two_norm(plain)),
        Sides(two_norm(rescaled - x), BIT * two_norm(x)),
    ]


def _sides(
    case: Case, alpha: float, seed: int, power: int, early: Solver, solver: Solver | None = None
) -> Sides:
    return conjunction(
        _invariant(case, alpha, seed, solver or deq(1e-12, 300)), *_homogeneous(case, power, early)
    )


BIT = 1e-15
"""Relative difference below the rounding of a single number."""
EARLY = (
    deq(1e-1),
    deq(1e-3),
    implicit(Picard(1e-2), Picard(1e-1)),
    implicit(Nesterov(1e-2), Nesterov(1e-1)),
    implicit(QuasiNewton(1e-2), QuasiNewton(1e-1)),
    implicit(Anderson(1e-2), GMRES(1e-2)),
    implicit(Anderson(1e-2, memory=2, every=1), CG(1e-2)),
    implicit(Anderson(1e-3, shared=True), SharedInverse(1)),
    phantom(2, 3),
)
"""Solvers that stop long before rounding, so that a stopping criterion that is not homogeneous shows."""

CLAIM = Claim(
    id="C19",
    statement="relaxation and preconditioning leave g_DEQ unchanged; c·ℓ gives c·g, and cT(·/c) gives c·x, to the bit",
    source="PROOFS S1(b), S1(c)",
    assumptions="L < 1",
    examples=st.tuples(
        st.one_of(synthetic.affines, synthetic.tanhs, synthetic.networks, batches),
        st.sampled_from((0.3, 0.7, 1.0)),
        synthetic.seeds,
        st.sampled_from((-20, -6, 10, 20)),
        st.sampled_from(EARLY),
    ),
    sides=_sides,
    negative_control=lambda case, alpha, seed, power, early: _invariant(case, alpha, seed, jfb(400)),
    false_statement="JFB does not notice either",
    rounding=1e-8,
)
