"""C27. ``certified(ρ)`` returns a gradient with a relative error of at most ρ.

If C13 bounds the error of g by ``c ≤ ρ/(1 + ρ) ‖g‖``, the relative error is at most ρ:
``‖g − F'‖ ≤ c ≤ ρ (‖g‖ − c) ≤ ρ ‖F'‖``. The claim checks ``solvers.certified(ρ)``. If it reports convergence,
its relative error is at most ρ, and its certificate says so. If a budget or rounding stopped it, its
certificate still holds. The bounds on derivatives are checked as in C13, with the same assumptions.

Source: PROOFS B4.
"""

from __future__ import annotations

from hypothesis import strategies as st

from solvers import certified

from ..engine import Claim, Sides, conjunction
from ..instances import Case, solve_exactly, synthetic, theta_gradient, two_norm
from ..instances.batches import solver_state
from .certified_runs import certifiable, smooth_loss, with_known_bounds
from .derivative_checks import derivative_inequalities


def _sides(case: Case, rtol: float, budget: int, share: float = 1.0) -> Sides:
    e = solve_exactly(case)
    solution = certified(rtol, budget)(
        with_known_bounds(case), solver_state(case, case.x0), loss := smooth_loss(case)
    )
    error, size = two_norm(theta_gradient(case, loss(solution.x)) - e.gradient), two_norm(e.gradient)
    (certificate,) = solution.certificates
    return conjunction(
        Sides(error, share * (rtol * size if solution.converged else certificate.error), size),
        Sides(certificate.relative if solution.converged else 0.0, rtol),
        *derivative_inequalities(case, solution.x, 1),
    )


slow = st.builds(
    synthetic.symmetric, st.just(30), synthetic.parameters, st.sampled_from((0.9, 0.99)), synthetic.seeds
)
"""Cases whose adjoint solve improves little with each product, so that it stops close to its goal."""
tolerances = st.sampled_from((2.0, 0.5, 0.1, 1e-2, 1e-4, 1e-7))
budgets = st.sampled_from((5, 30, 2000, 2000))

CLAIM = Claim(
    id="C27",
    statement="certified(ρ) converged: ‖g − F'‖ ≤ ρ ‖F'‖, as its certificate says; else ‖g − F'‖ ≤ its certificate",
    source="PROOFS B4",
    assumptions="L < 1; M_J, M_B, Λ, H valid on the iterates and x*",
    examples=st.one_of(
        st.tuples(certifiable, tolerances, budgets), st.tuples(slow, st.sampled_from((0.1, 1e-2)), budgets)
    ),
    sides=_sides,
    negative_control=lambda case, rtol, budget: _sides(case, rtol, budget, 0.1),
    false_statement="the same with a tenth of ρ",
)
