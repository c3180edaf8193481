"""C13. A certificate bounds the error of a gradient, from quantities known when the gradient is made.

For any algorithm, let ``x_k`` be the states on its tape, ``u_k`` the cotangents of ``T(x_k)``, y the value that
it returned, ``v = ∇ℓ(y)`` and ``ϱ = v + Σ (J(x_k)ᵀu_k − u_k)``. Residuals give ``e_k ≥ ‖x_k − x*‖`` and
``e ≥ ‖y − x*‖``. With ``b ≥ ‖B(x*)‖``,

‖g − F'‖ ≤ H e + M_B Σ e_k‖u_k‖ + b/(1−L) · (‖ϱ‖ + Λ e + M_J Σ e_k‖u_k‖).

For restarted JFB, ϱ is the last cotangent ``w_0`` (PROOFS B1); for an adjoint solve it is the residual (S6,
B3). At the equilibrium only the term of ϱ is left, which is attained with ``J = L·I``. The claim checks
``solvers._certificates.bound``.

Assumes that L < 1 and that L, M_J, M_B, Λ and H, the Lipschitz constants of T, J, B, ∇ₓℓ and ∇_θℓ, hold on a
set that contains all x_k, y and x*. J of the benchmark's operators jumps; there the operators' own bounds on
``‖(J(x*) − J(x_k))ᵀu_k‖`` and ``‖(B(x*) − B(x_k))ᵀu_k‖`` replace the constants.

A certificate is a sum of bounds, and slack ones could hide a false one. So each bound is also compared with the
largest change that a search of its ball finds (``derivative_checks``).

Source: PROOFS B1, S6, B3. ``solvers/_certificates/bound.py`` has the proof for any algorithm.
"""

from __future__ import annotations

from hypothesis import strategies as st

from solvers import Solver

from ..engine import Claim, Sides, conjunction
from ..instances import Case, solve_exactly, two_norm
from .certified_runs import certifiable, certificate_of_run, estimators, run_solver
from .derivative_checks import derivative_inequalities


def _sides(case: Case, solver: Solver, share: float = 1.0) -> Sides:
    e, run = solve_exactly(case), run_solver(solver, case)
    return Sides(
        two_norm(run.gradient - e.gradient), share * certificate_of_run(case, run).error, two_norm(e.gradient)
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
