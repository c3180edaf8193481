"""C24. The certificate with look-ahead: m further adjoint terms bound the error and correct the gradient.

With ``a_0 = ϱ`` of C13, ``a_{i+1} = J(y)ᵀa_i`` and ``δ = Σ_{i<m} a_i``, the corrected gradient ``g + B(y)ᵀδ`` is that
of a tape with one more application, at y and with the cotangent δ; so C13 bounds its error by some c₂, with
``ϱ₂ = ϱ + J(y)ᵀδ − δ = a_m`` for ϱ. Both

‖g + c − F'‖ ≤ c₂ and ‖g − F'‖ ≤ ‖c‖ + c₂, where c = B(y)ᵀδ.

The bias is measured rather than bounded as m grows, and what is left of c₂ is the error of the point. Both
are attained at the equilibrium with ``J = L·I``. Assumes what C13 does.

Source: PROOFS B2.
"""

from __future__ import annotations

from hypothesis import strategies as st

from solvers import Solver

from ..engine.claim import Claim
from ..engine.inequality import Sides, conjunction, disjunction
from ..instances.exact import solve_exactly, two_norm
from ..instances.synthetic import Case
from .certified_runs import certifiable, certificate_of_run, estimators, look_ahead, run_solver
from .derivative_checks import derivative_inequalities


def _both(case: Case, solver: Solver, m: int, bounded_with: int) -> tuple[Sides, Sides]:
    """Corrected and plain gradient after m terms, against the bound of ``bounded_with`` terms."""
    e, found = solve_exactly(case), run_solver(solver, case)
    correction, corrected = look_ahead(case, found, m)
    bound = certificate_of_run(case, look_ahead(case, found, bounded_with)[1]).error
    scale = two_norm(e.gradient)
    return (
        Sides(two_norm(corrected.gradient - e.gradient), bound, scale),
        Sides(two_norm(found.gradient - e.gradient), two_norm(correction) + bound, scale),
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
