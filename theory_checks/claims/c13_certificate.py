"""C13. A certificate of the error of a gradient, from what the run that made it knows about itself.

Whatever the algorithm applied T to, let ``x_k`` be the points on its tape, ``u_k`` the cotangents that reached
``T(x_k)``, y the value that it returned, ``v = ∇ℓ(y)`` and ``ϱ = v + Σ (J(x_k)ᵀu_k − u_k)``. With ``e_k ≥ ‖x_k − x*‖``
and ``e ≥ ‖y − x*‖`` by residuals, and ``b ≥ ‖B(x*)‖``,

‖g − F'‖ ≤ H e + M_B Σ e_k‖u_k‖ + b/(1−L) · (‖ϱ‖ + Λ e + M_J Σ e_k‖u_k‖).

For restarted JFB ``ϱ = w_0``, the last cotangent (PROOFS B1); for an adjoint solve it is its residual (S6, B3). Only
that term is left at the equilibrium, where it is attained with ``J = L·I``. What is checked is
``solvers.certificate``. Assumes that L < 1, M_J, M_B, Λ and H (Lipschitz constants of T, J, B, ∇ₓℓ and ∇_θℓ) hold on a
set with all x_k, y and x*; on the benchmark's operators, whose J jumps, their own bounds on ``‖(J(x*) − J(x_k))ᵀu_k‖``
and ``‖(B(x*) − B(x_k))ᵀu_k‖`` take the place of those constants.

A certificate is a sum of bounds, and one that is false may hide among others that are slack: each of them is held
against the worst that a search of its ball finds too, and is attained (``told``).

Source: PROOFS B1, S6, B3; the proof that needs nothing of the algorithm stands in ``solvers/certificate.py``.
"""

from __future__ import annotations

from hypothesis import strategies as st

from solvers import Solver

from ..engine.claim import Claim
from ..engine.inequality import Sides, conjunction
from ..instances.exact import solve_exactly, two_norm
from ..instances.synthetic import Case
from .certified_runs import certifiable, certificate_of_run, estimators, run_solver
from .derivative_checks import derivative_inequalities


def _sides(case: Case, solver: Solver, share: float = 1.0) -> Sides:
    e, found = solve_exactly(case), run_solver(solver, case)
    return Sides(
        two_norm(found.gradient - e.gradient),
        share * certificate_of_run(case, found).error,
        two_norm(e.gradient),
    )


def _parts(case: Case, solver: Solver) -> Sides:
    return conjunction(_sides(case, solver), *derivative_inequalities(case, run_solver(solver, case).y))


CLAIM = Claim(
    id="C13",
    statement="‖g − F'‖ ≤ H e + M_B S + b/(1−L) · (‖ϱ‖ + Λ e + M_J S) for every estimator, all known at run time",
    source="PROOFS B1, S6, B3",
    assumptions="L < 1; M_J, M_B, Λ, H valid on the iterates and x*",
    examples=st.tuples(certifiable, estimators),
    sides=_parts,
    negative_control=lambda case, solver: _sides(case, solver, 1 - case.L),
    false_statement="the same without 1/(1−L)",
    attained=True,
)
