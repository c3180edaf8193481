"""C24. A certificate with look-ahead: m further adjoint terms correct the gradient and tighten the bound.

With ``a_0 = ϱ`` of C13, ``a_{i+1} = J(y)ᵀa_i`` and ``δ = Σ_{i<m} a_i``, the corrected gradient ``g + B(y)ᵀδ``
is that of a tape with one more application, at y with the cotangent δ. C13 bounds its error by some c₂, in
which ϱ is replaced by ``ϱ₂ = ϱ + J(y)ᵀδ − δ = a_m``. Then

‖g + c − F'‖ ≤ c₂ and ‖g − F'‖ ≤ ‖c‖ + c₂, where c = B(y)ᵀδ.

As m grows, the bias is measured instead of bounded, and c₂ becomes the bound on the error of the point. Both
inequalities are attained at the equilibrium with ``J = L·I``. The assumptions are those of C13.

Source: PROOFS B2.
"""

from __future__ import annotations

from hypothesis import strategies as st

from solvers import Solver

from ..engine import Claim, Sides, conjunction, disjunction
from ..instances import Case, solve_exactly, two_norm
from .certified_runs import certifiable, certificate_of_run, estimators, look_ahead, run_solver
from .derivative_checks import derivative_inequalities


def _both(case: Case, solver: Solver, m: int, bounded_with: int) -> tuple[Sides, Sides]:
    """Both inequalities after m terms, with the bound after ``bounded_with`` terms."""
    e, run = solve_exactly(case), run_solver(solver, case)
    correction, corrected = look_ahead(case, run, m)
    bound = certificate_of_run(case, look_ahead(case, run, bounded_with)[1]).error
    scale = two_norm(e.gradient)
    return (
        Sides(two_norm(corrected.gradient - e.gradient), bound, scale),
        Sides(two_norm(run.gradient - e.gradient), two_norm(correction) + bound, scale),
    )


CLAIM = Claim(
    id="C24",
    statement="‖g + c − F'‖ ≤ c₂ and ‖g − F'‖ ≤ ‖c‖ + c₂ after m look-ahead terms",
    source="PROOFS B2",
    assumptions="L < 1; M_J, M_B, Λ, H valid on the iterates and x*",
    examples=st.tuples(certifiable, estimators, st.integers(0, 12)),
    sides=lambda case, solver, m: conjunction(
        *_both(case, solver, m, m), *derivative_inequalities(case, run_solver(solver, case).y, 1)
    ),
    negative_control=lambda case, solver, m: disjunction(*_both(case, solver, m, m + 1)),
    false_statement="the same with ‖a_{m+1}‖ in place of ‖a_m‖",
    attained=True,
)
