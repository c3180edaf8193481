"""C36. In float32 a certificate bounds the error too, including the rounding of the run.

The gradient is computed in float32, by any estimator at any tolerance, for one case or a batch. F' is the exact
gradient of the same numbers in float64. At a coarse point this is C13. If an estimator has gone as far as
float32 allows, the error is only rounding, and the bound must allow for it, also if values cancel. The rounding
of an application is measured here against float64, and the certificate amplifies it like a residual.

Source: C13, with ``fl(T)`` for T in the residuals.
"""

from __future__ import annotations

from hypothesis import strategies as st

from solvers import Solver, deq, restarted_jfb

from ..engine import Claim, Sides
from ..instances import Case, solve_exactly, synthetic, two_norm
from ..instances.batches import in_float32
from .certified_runs import certifiable, certificate_of_run, estimators, run_solver

OWN = 3e-6
"""Rounding of the sum that makes the gradient, in float32, relative to the sizes of its terms."""


def _sides(case: Case, solver: Solver, allowed: bool = True) -> Sides:
    high, low = in_float32(case)
    e, run = solve_exactly(high), run_solver(solver, low)
    error = two_norm(run.gradient.double() - e.gradient)
    bound = certificate_of_run(low, run).error
    sum_rounding = OWN * (two_norm(e.B) * two_norm(e.u) + two_norm(e.h))
    return Sides(error, bound + sum_rounding if allowed else 0.1 * bound, two_norm(e.gradient))


slow = st.builds(
    synthetic.symmetric,
    synthetic.sizes,
    synthetic.parameters,
    st.sampled_from((0.99, 0.999)),
    synthetic.seeds,
)
"""Cases that amplify the rounding of an application most; after a tight solve it is all that is left."""
solved = st.sampled_from((deq(1e-4), deq(1e-7), restarted_jfb(30, 60)))

CLAIM = Claim(
    id="C36",
    statement="‖g − F'‖ ≤ the certificate in float32 too, with what float32 rounds off",
    source="C13",
    assumptions="L < 1; M_J, M_B, Λ, H valid on the iterates and x*",
    examples=st.one_of(st.tuples(certifiable, st.one_of(estimators, solved)), st.tuples(slow, solved)),
    sides=_sides,
    negative_control=lambda case, solver: _sides(case, solver, allowed=False),
    false_statement="a tenth of it, without the rounding of the sum",
    rounding=1e-9,
)
