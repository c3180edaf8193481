"""C8. Solving both equations to a tolerance.

``r/(1 + L) ≤ ‖x̂ − x*‖ ≤ e = r/(1 − L)`` with ``r = ‖T(x̂) − x̂‖`` as reported, and with an adjoint residual
``s = ‖v̂ − (I − Ĵᵀ)û‖`` the gradient is off by at most ``(H + M_B‖û‖) e + (‖B̂‖ + M_B e)/(1 − L) · [s + (Λ +
M_J‖û‖) e]``. Equality on ``J = L·I``.

The estimator is the real ``deq`` with a loose tolerance; ``û`` is taken from its own exchange, seen through a
map that adds a constant. Source: Grazzi et al. (arXiv 2006.16218) for the shape; PROOFS S6.
"""

from __future__ import annotations

import torch
from hypothesis import strategies as st
from torch import Tensor

from solvers import Anderson, Equilibrium, Implicit, Picard, Solver

from .. import cases
from ..cases import Case
from ..claim import Claim, Sides
from ..exact import cotangents, exact, jacobians, norm


def _solved(case: Case, tol: float, accelerated: bool) -> tuple[Equilibrium, Tensor, Tensor]:
    """``x̂``, ``û`` and the gradient of a DEQ with a loose tolerance; û is the gradient in a constant added to T."""
    solve = Anderson(tol, 300) if accelerated else Picard(tol, 3000)
    shift = torch.zeros_like(case.x0, requires_grad=True)
    case.T.zero_grad()
    solution = Solver("deq", solve, Implicit(solve))(lambda x: case.T(x) + shift, case.x0)
    with torch.no_grad():
        at = solve(case.T, case.x0)
    case.loss(solution.x, case.T.theta).backward()
    assert shift.grad is not None and case.T.theta.grad is not None  # noqa: PT018
    return at, shift.grad, case.T.theta.grad.clone()


def _sides(case: Case, tol: float, accelerated: bool, factor: float) -> Sides:
    e = exact(case)
    reached, u, gradient = _solved(case, tol, accelerated)
    at = reached.x
    with torch.no_grad():
        image = case.T(at)
    J, B = jacobians(case, at)
    # The value is T(x̂), so the loss is differentiated there; the derivative of T is taken at x̂.
    v, _ = cotangents(case, image)
    # The residual that the solver reports, made absolute: if it is that of another point, this shows it.
    residual = reached.report.residual * norm(image)
    off = residual / factor
    s = norm(v - (u - J.T @ u))
    b = norm(B) + case.M_B * off
    bound = (norm(case.loss.M) + case.M_B * norm(u)) * off
    bound += b / factor * (s + (case.loss.q + case.M_J * norm(u)) * off)
    distance = norm(at - e.x)
    if distance > off * (1 + 1e-9) + 1e-12:  # the first half of the claim
        return Sides(distance, off, norm(e.x))
    if residual / (1 + case.L) > distance * (1 + 1e-9) + 1e-12:
        return Sides(residual / (1 + case.L), distance, norm(e.x))
    return Sides(norm(gradient - e.gradient), bound, norm(e.gradient) + norm(e.v))


CLAIM = Claim(
    id="C8",
    statement="‖x̂ − x*‖ ≤ r/(1−L), and the gradient is off by at most the bound of S6 in r and s",
    source="arXiv 2006.16218; PROOFS S6",
    assumptions="L < 1; M_J, M_B Lipschitz constants of the Jacobians",
    examples=st.tuples(cases.contractions, st.sampled_from((1e-1, 1e-2, 1e-4)), st.booleans()),
    sides=lambda case, tol, accelerated: _sides(case, tol, accelerated, 1 - case.L),
    too_strong=lambda case, tol, accelerated: _sides(case, tol, accelerated, 1.0),
    twin="without the factors 1/(1−L)",
    attained=True,
)
