"""C44. The loss at the equilibrium lies in an interval that is known when the gradient is made.

With ``x_k``, ``y_k = T(x_k)``, ``u_k``, ``a_k = J(x_k)ᵀu_k``, y, v and ϱ as in C13, for any algorithm,

|ℓ(x*) − ℓ(y) − Σ (a_kᵀ(y − x_k) − u_kᵀ(y − y_k))| ≤ ‖ϱ‖ e + Σ ΔJ_k e_k + Λ/2 e²,

where ``e ≥ ‖x* − y‖``, ``e_k ≥ ‖x* − x_k‖``, and ``ΔJ_k ≥ ‖(J(x) − J(x_k))ᵀu_k‖`` for all x within ``e_k`` of ``x_k``,
which is ``M_J e_k ‖u_k‖`` for a smooth map. For one recorded application and an exact adjoint, the error of
``ℓ(y) + aᵀ(T(x) − x)`` is of second order in the distance.

Proof: ``x* − y_k = T(x*) − T(x_k)`` is J integrated over the segment, times ``x* − x_k``. So
``u_kᵀ(x* − y_k) = a_kᵀ(x* − x_k) + R_k`` with ``|R_k| ≤ ΔJ_k e_k``. Written with ``d = x* − y`` and summed, this is
``(v − ϱ)ᵀd = Σ (a_kᵀ(y − x_k) − u_kᵀ(y − y_k) + R_k)``, and ``|ℓ(x*) − ℓ(y) − vᵀd| ≤ Λ/2 ‖d‖²``.

Attained by a linear loss and ``J = L·I`` without an adjoint solve, where ϱ and d are parallel. The negative control
leaves the change of J out.

Source: ``solvers/_certificates/loss_enclosure.py``, which the claim checks; this project's own.
"""

from __future__ import annotations

from hypothesis import strategies as st

from solvers import Solver
from solvers._certificates.loss_enclosure import loss_enclosure

from ..engine import Claim, Sides
from ..instances import Case, solve_exactly, synthetic
from .certified_runs import certifiable, estimators, run_solver, smooth_loss, with_known_bounds


def _sides(case: Case, solver: Solver, change_of_J: float = 1.0) -> Sides:
    e, run, loss = solve_exactly(case), run_solver(solver, case), smooth_loss(case)
    regularity = with_known_bounds(case).regularity()
    assert regularity is not None, f"{case} has no bounds on its derivatives"
    value = float(loss(run.y).detach())
    enclosure = loss_enclosure(run.taped, run.y, value, run.v, regularity, loss.smoothness)
    exact = float(loss(e.x.to(case.x0)).detach())
    radius = enclosure.radius - (1 - change_of_J) * enclosure.jacobian
    return Sides(abs(exact - enclosure.value), radius, abs(exact) + abs(value))


CLAIM = Claim(
    id="C44",
    statement="|ℓ(x*) − ℓ(y) − Σ (a_kᵀ(y−x_k) − u_kᵀ(y−y_k))| ≤ ‖ϱ‖ e + Σ ΔJ_k e_k + Λ/2 e² for every estimator",
    source="PROOFS C44; this project",
    assumptions="L < 1; M_J, Λ valid on the segments from the iterates to x*",
    # On a bent map J changes and B does not: the change of J is most of the radius.
    examples=st.one_of(st.tuples(certifiable, estimators), st.tuples(synthetic.bents, estimators)),
    sides=_sides,
    negative_control=lambda case, solver: _sides(case, solver, 0.0),
    false_statement="the same without the change of J",
    attained=True,
)
