"""C21. If the loss is stationary at the equilibrium, all estimators agree.

If ``∂_xℓ(x*) = 0`` (interpolation), K-layer JFB at the equilibrium equals the exact gradient for every
``K ≥ 1``, because the missing terms of the series are products with ``∂_xℓ(x*) = 0``. An equality.

Source: PROOFS S14.
"""

from __future__ import annotations

import dataclasses

from hypothesis import strategies as st

from solvers import Solver, deq, jfb, neumann, restarted_jfb

from ..engine import Claim, Sides
from ..instances import Case, QuadraticLoss, solve_exactly, solver_gradient, synthetic, two_norm


def interpolating(case: Case) -> Case:
    """The case with the target of its loss at the equilibrium."""
    e = solve_exactly(case)
    return dataclasses.replace(case, loss=QuadraticLoss(e.x, 1.0, 0 * case.loss.M))


def _sides(case: Case, K: int) -> Sides:
    e = solve_exactly(case)
    solvers: tuple[Solver, ...] = (restarted_jfb(K, 0), neumann(0, K), jfb(0), deq(1e-12))
    worst = max(two_norm(solver_gradient(solver, case, e.x) - e.gradient) for solver in solvers)
    return Sides(worst, 0.0, two_norm(e.B) * (1 + two_norm(e.x)))


CLAIM = Claim(
    id="C21",
    statement="∂ℓ(x*) = 0 ⟹ every estimator is exact at the equilibrium",
    source="PROOFS S14",
    assumptions="L < 1, an interpolating loss",
    examples=st.tuples(
        st.one_of(synthetic.symmetrics, synthetic.networks, synthetic.isotropics), synthetic.depths
    ),
    sides=lambda case, K: _sides(interpolating(case), K),
    negative_control=_sides,
    false_statement="for any loss",
)
