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

from .. import cases
from ..batches import in_single
from ..cases import Case
from ..certificates import certifiable, certify, estimators, run
from ..claim import Claim, Sides
from ..exact import exact, norm

OWN = 3e-6
"""What adding up a gradient itself rounds off in float32, relative to the sizes that are added."""


def _sides(case: Case, solver: Solver, allowed: bool = True) -> Sides:
    high, low = in_single(case)
    e, found = exact(high), run(solver, low)
    error = norm(found.gradient.double() - e.gradient)
    bound = certify(low, found).error
    own = OWN * (norm(e.B) * norm(e.u) + norm(e.h))
    return Sides(error, bound + own if allowed else 0.1 * bound, norm(e.gradient))


slow = st.builds(cases.symmetric, cases.sizes, cases.parameters, st.sampled_from((0.99, 0.999)), cases.seeds)
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
    too_strong=lambda case, solver: _sides(case, solver, allowed=False),
    twin="a tenth of it, without the rounding of the sum",
    rounding=1e-9,
)
