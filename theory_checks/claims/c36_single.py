"""C36. In float32 a certificate bounds the error as well, rounding of the run included.

The gradient is made in float32, by any estimator at any tolerance, of one sample or of a batch; F' is that of the same
numbers in float64. At a crude point it is C13; where an estimator has gone as far as float32 can, all that is left is
rounding, and the bound has to allow for that, also where the values cancel: what an application rounds off is known
here, by doing it in float64 as well, and amplified as the residual is.

Source: C13, with ``fl(T)`` for T in the residuals.
"""

from __future__ import annotations

from hypothesis import strategies as st

from solvers import Solver, deq, restarted_jfb

from ..engine.claim import Claim
from ..engine.inequality import Sides
from ..instances import synthetic
from ..instances.batches import in_float32
from ..instances.exact import solve_exactly, two_norm
from ..instances.synthetic import Case
from .certified_runs import certifiable, certificate_of_run, estimators, run_solver

OWN = 3e-6
"""What adding up a gradient itself rounds off in float32, relative to the sizes that are added."""


def _sides(case: Case, solver: Solver, allowed: bool = True) -> Sides:
    high, low = in_float32(case)
    e, found = solve_exactly(high), run_solver(solver, low)
    error = two_norm(found.gradient.double() - e.gradient)
    bound = certificate_of_run(low, found).error
    own = OWN * (two_norm(e.B) * two_norm(e.u) + two_norm(e.h))
    return Sides(error, bound + own if allowed else 0.1 * bound, two_norm(e.gradient))


slow = st.builds(
    synthetic.symmetric,
    synthetic.sizes,
    synthetic.parameters,
    st.sampled_from((0.99, 0.999)),
    synthetic.seeds,
)
"""Where what an application rounds off is amplified most, and is all that a tight solve leaves."""
solved = st.sampled_from((deq(1e-4), deq(1e-7), restarted_jfb(30, 60)))

CLAIM = Claim(
    id="C36",
    statement="‖g − F'‖ ≤ the certificate in float32 too, with what float32 rounds off",
    source="C13",
    assumptions="L < 1; M_J, M_B, Λ, H valid on the iterates and x*",
    examples=st.one_of(
        st.tuples(certifiable, st.one_of(estimators, solved)),
        st.tuples(slow, solved),
    ),
    sides=_sides,
    negative_control=lambda case, solver: _sides(case, solver, allowed=False),
    false_statement="a tenth of it, without the rounding of the sum",
    rounding=1e-9,
)
