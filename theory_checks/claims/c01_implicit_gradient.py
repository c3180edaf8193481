"""C1. ``∇_θ ℓ(x*(θ)) = g_DEQ``: the implicit function theorem.

The left side by central differences of the problem solved again at ``θ ± η``, with dense algebra: the one road
that shares no tape with the estimators. The right side is what the real solvers return, for batches as well. Exact;
here to the error of the differences. Source: Bai, Kolter, Koltun (arXiv 1909.01377); PROOFS S1(d).
"""

from __future__ import annotations

import torch
from hypothesis import strategies as st
from torch import Tensor

from solvers import GMRES, Anderson, Nesterov, Picard, Solver, deq, implicit, jfb

from ..engine.claim import Claim
from ..engine.inequality import Sides
from ..instances import synthetic
from ..instances.batches import batches
from ..instances.exact import solve_exactly, solver_gradient, two_norm
from ..instances.synthetic import Case

ETA = 1e-5
MOST = 6
"""Coordinates that are differenced; a map with more parameters is sampled evenly."""


def differences(case: Case, coordinates: list[int]) -> Tensor:
    """Central differences of ``θ -> ℓ(x*(θ), θ)``, each side solved by plain iterations from the equilibrium."""
    theta, e = case.T.theta, solve_exactly(case)
    factors = torch.linalg.lu_factor(torch.eye(len(e.x), dtype=torch.float64) - e.J)
    found = torch.zeros(len(coordinates), dtype=torch.float64)
    with torch.no_grad():
        for k, i in enumerate(coordinates):
            sides: list[float] = []
            for step in (ETA, -2 * ETA):
                theta[i] += step
                sides.append(float(case.loss(_again(case, e.x, factors), theta)))
            theta[i] += ETA
            found[k] = (sides[0] - sides[1]) / (2 * ETA)
    return found


def _again(case: Case, x: Tensor, factors: tuple[Tensor, Tensor]) -> Tensor:
    """The fixed point near ``x`` at the parameters of this moment: Newton's chords, or plain steps across a kink."""
    gap = case.T(x) - x
    for _ in range(50):
        if two_norm(gap) <= 1e-15 * (1 + two_norm(x)):
            break
        moved = x + torch.linalg.lu_solve(*factors, gap[:, None])[:, 0]
        left = case.T(moved) - moved
        if not two_norm(left) < two_norm(gap):
            if two_norm(gap) > 1e-12 * (1 + two_norm(x)):
                return Picard(1e-15, 2000)(case.T, x).x
            break  # rounding
        x, gap = moved, left
    return x


def _sides(case: Case, solver: Solver) -> Sides:
    p = len(case.T.theta)
    coordinates = list(range(0, p, -(-p // MOST)))
    wanted = differences(case, coordinates)
    found = solver_gradient(solver, case)[coordinates]
    return Sides(two_norm(found - wanted), 0.0, two_norm(wanted) + two_norm(solve_exactly(case).v))


problems = st.one_of(synthetic.affines, synthetic.tanhs, synthetic.networks, batches, batches)
quick = st.sampled_from((deq(1e-12, 500), implicit(Anderson(1e-12, 500, shared=True), GMRES(1e-12, 500))))
slow = st.sampled_from(
    (
        implicit(Nesterov(1e-12, 20_000), GMRES(1e-12, 500)),
        implicit(Anderson(1e-12, 500), Nesterov(1e-12, 20_000)),
    )
)
"""Momentum does not help a map that is no gradient step: at L = 0.999 an example takes 20,000 products."""

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
    # Central differences: η²/6 of a third derivative, and rounding of 1e-16/η.
    rounding=1e-6,
)
