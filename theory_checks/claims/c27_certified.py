"""C27. A gradient that goes on until it is good enough is good enough.

Where C13 bounds the error of g by ``c ≤ ρ/(1 + ρ) ‖g‖``, its relative error is at most ρ:
``‖g − F'‖ ≤ c ≤ ρ (‖g‖ − c) ≤ ρ ‖F'‖``. What is checked is ``solvers.certified(ρ)``: where it says that it has
converged, its relative error is at most ρ, and its certificate says so itself; and where a budget, or rounding, ended
it, the certificate still holds. What the map says of its derivatives there is searched as in C13, whose assumptions
are made.

Source: PROOFS B4.
"""

from __future__ import annotations

from hypothesis import strategies as st

from solvers import certified

from .. import cases
from ..batches import shaped
from ..cases import Case
from ..certificates import certifiable, criterion, known, worst
from ..claim import Claim, Sides
from ..exact import exact, norm
from ..told import told


def _sides(case: Case, rtol: float, budget: int, share: float = 1.0) -> Sides:
    e = exact(case)
    case.T.zero_grad()
    solution = certified(rtol, budget)(known(case), shaped(case, case.x0), loss := criterion(case))
    loss(solution.x).backward()
    assert case.T.theta.grad is not None, "no gradient reached theta"
    error, size = norm(case.T.theta.grad - e.gradient), norm(e.gradient)
    (found,) = solution.certificates
    return worst(
        Sides(error, share * (rtol * size if solution.converged else found.error), size),
        Sides(found.relative if solution.converged else 0.0, rtol),
        *told(case, solution.x, 1),
    )


slow = st.builds(cases.symmetric, st.just(30), cases.parameters, st.sampled_from((0.9, 0.99)), cases.seeds)
"""Whose adjoint solve gains little by a product, so that it ends just where it may."""

CLAIM = Claim(
    id="C27",
    statement="certified(ρ) converged: ‖g − F'‖ ≤ ρ ‖F'‖, as its certificate says; else ‖g − F'‖ ≤ its certificate",
    source="PROOFS B4",
    assumptions="L < 1; M_J, M_B, Λ, H valid on the iterates and x*",
    examples=st.tuples(
        st.one_of(certifiable, slow),
        st.sampled_from((2.0, 0.5, 0.1, 1e-2, 1e-4, 1e-7)),
        st.sampled_from((5, 30, 2000, 2000)),
    ),
    sides=_sides,
    too_strong=lambda case, rtol, budget: _sides(case, rtol, budget, 0.1),
    twin="the same with a tenth of ρ",
)
