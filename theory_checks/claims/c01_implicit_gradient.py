"""C1. ``∇_θ ℓ(x*(θ)) = g_DEQ``: the implicit function theorem.

An equality, checked to the error of central differences. The left side is a central difference of the problem,
solved again at ``θ ± η`` with dense algebra, so that it shares no tape with the estimators. The right side is
the gradient that the real solvers return, for single cases and for batches.

Source: Bai, Kolter, Koltun (arXiv 1909.01377); PROOFS S1(d).
"""

from __future__ import annotations

import torch
from hypothesis import strategies as st
from torch import Tensor

from solvers import GMRES, Anderson, Nesterov, Picard, QuasiNewton, Solver, deq, implicit, jfb

from ..engine import Claim, Sides
from ..instances import Case, solve_exactly, solver_gradient, synthetic, two_norm
from ..instances.batches import batches

ETA = 1e-5
"""Half-width of the central differences."""
MOST = 6
"""Largest number of coordinates to difference; those of a map with more parameters are spread evenly."""


def differences(case: Case, coordinates: list[int]) -> Tensor:
    """Central differences of ``θ -> ℓ(x*(θ), θ)`` in some coordinates of θ.

    Each side is solved from the equilibrium, by Newton's method with a fixed Jacobian (chords).
    """
    theta, e = case.T.theta, solve_exactly(case)
    factors = torch.linalg.lu_factor(torch.eye(len(e.x), dtype=torch.float64) - e.J)
    gradient = torch.zeros(len(coordinates), dtype=torch.float64)
    with torch.no_grad():
        for k, i in enumerate(coordinates):
            sides: list[float] = []
            for step in (ETA, -2 * ETA):
                theta[i] += step
                sides.append(float(case.loss(_solve_near(case, e.x, factors), theta)))
            theta[i] += ETA
            gradient[k] = (sides[0] - sides[1]) / (2 * ETA)
    return gradient


def _solve_near(case: Case, x: Tensor, factors: tuple[Tensor, Tensor]) -> Tensor:
    """The fixed point near ``x`` at the current parameters: chords, or plain steps if a kink stops them.

    Args:
        case: the case.
        x: start.
        factors: LU factors of ``I − J``.
    """
    gap = case.T(x) - x
    for _ in range(50):
        if two_norm(gap) <= 1e-15 * (1 + two_norm(x)):
            break
        new = x + torch.linalg.lu_solve(*factors, gap[:, None])[:, 0]
        new_gap = case.T(new) - new
        if not two_norm(new_gap) < two_norm(gap):
            if two_norm(gap) > 1e-12 * (1 + two_norm(x)):
                return Picard(1e-15, 2000)(case.T, x).x
            break  # the rest is rounding
        x, gap = new, new_gap
    return x


def _sides(case: Case, solver: Solver) -> Sides:
    p = len(case.T.theta)
    coordinates = list(range(0, p, -(-p // MOST)))
    expected = differences(case, coordinates)
    gradient = solver_gradient(solver, case)[coordinates]
    return Sides(two_norm(gradient - expected), 0.0, two_norm(expected) + two_norm(solve_exactly(case).v))


problems = st.one_of(synthetic.affines, synthetic.tanhs, synthetic.networks, batches, batches)
quick = st.sampled_from((deq(1e-12, 500), implicit(Anderson(1e-12, 500, shared=True), GMRES(1e-12, 500))))
slow = st.sampled_from(
    (
        implicit(Nesterov(1e-12, 20_000), GMRES(1e-12, 500)),
        implicit(QuasiNewton(1e-12, 20_000), GMRES(1e-12, 500)),
        implicit(Anderson(1e-12, 500), Nesterov(1e-12, 20_000)),
    )
)
"""Solvers with momentum, which does not help a map that is no gradient step: at L = 0.999 they take 20,000 products."""

CLAIM = Claim(
    id="C1",
    statement="∇_θ ℓ(x*(θ)) = g_DEQ",
    source="arXiv 1909.01377; PROOFS S1(d)",
    assumptions="L < 1",
    examples=st.one_of(
        st.tuples(problems, quick), st.tuples(problems, slow).filter(lambda example: example[0].L <= 0.99)
    ),
    sides=_sides,
    negative_control=lambda case, solver: _sides(case, jfb(500)),
    false_statement="JFB is the gradient",
    # Error of central differences: η²/6 times a third derivative, and rounding of 1e-16/η.
    rounding=1e-6,
)
