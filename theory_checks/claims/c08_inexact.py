"""C8. Solving both equations to a tolerance.

``r/(1 + L) ≤ ‖x̂ − x*‖ ≤ e = r/(1 − L)`` with ``r = ‖T(x̂) − x̂‖`` as reported, and with an adjoint residual
``s = ‖v̂ − (I − Ĵᵀ)û‖`` the gradient is off by at most
``(H + M_B‖û‖) e + (‖B̂‖ + M_B e)/(1 − L) · [s + (Λ + M_J‖û‖) e]``. Attained with ``J = L·I``.

The estimators are real forward and adjoint solvers with loose tolerances, on batches too. The adjoint ``û`` is
the gradient in a constant that is added to the map.

Source: Grazzi et al. (arXiv 2006.16218) for the shape; PROOFS S6.
"""

from __future__ import annotations

import torch
from hypothesis import strategies as st
from torch import Tensor

from solvers import (
    GMRES,
    AdjointSolver,
    Anderson,
    FixedPoint,
    ForwardSolver,
    ImplicitDifferentiation,
    Nesterov,
    Picard,
    Solver,
)

from ..engine import Claim, Sides
from ..instances import Case, cotangents, jacobians, solve_exactly, synthetic, theta_gradient, two_norm
from ..instances.batches import batches, solver_map, solver_state


def _solved(
    case: Case, forward_solver: ForwardSolver, adjoint: AdjointSolver
) -> tuple[FixedPoint, Tensor, Tensor]:
    """The equilibrium ``x̂``, the adjoint ``û`` and the gradient. û is the gradient in a constant added to T."""
    T, x0 = solver_map(case, divisible=False), solver_state(case, case.x0)
    shift = torch.zeros_like(x0, requires_grad=True)
    solution = Solver("", forward_solver, ImplicitDifferentiation(adjoint))(lambda x: T(x) + shift, x0)
    with torch.no_grad():
        equilibrium = forward_solver(T, x0)
    gradient = theta_gradient(case, case.loss(solution.x.flatten(), case.T.theta))
    assert shift.grad is not None, "the backward pass left no gradient in the constant"
    return equilibrium, shift.grad.flatten(), gradient


def _sides(case: Case, forward_solver: ForwardSolver, adjoint: AdjointSolver, factor: float) -> Sides:
    e = solve_exactly(case)
    equilibrium, u, gradient = _solved(case, forward_solver, adjoint)
    x = equilibrium.x.flatten()
    with torch.no_grad():
        image = case.T(x)
    J, B = jacobians(case, x)
    # The value is T(x̂), so the loss is differentiated there; the derivative of T is taken at x̂.
    v, _ = cotangents(case, image)
    # The reported residual, made absolute. If it is the residual of another point, the claim fails.
    residual = equilibrium.report.residual * two_norm(image)
    radius = residual / factor
    s = two_norm(v - (u - J.T @ u))
    b = two_norm(B) + case.M_B * radius
    bound = (two_norm(case.loss.M) + case.M_B * two_norm(u)) * radius
    bound += b / factor * (s + (case.loss.q + case.M_J * two_norm(u)) * radius)
    distance = two_norm(x - e.x)
    if distance > radius * (1 + 1e-9) + 1e-12:  # the first half of the claim
        return Sides(distance, radius, two_norm(e.x))
    # The report of a batch has the largest residual of a sample, and not that of the whole batch (C28).
    if case.samples == 1 and residual / (1 + case.L) > distance * (1 + 1e-9) + 1e-12:
        return Sides(residual / (1 + case.L), distance, two_norm(e.x))
    return Sides(two_norm(gradient - e.gradient), bound, two_norm(e.gradient) + two_norm(e.v))


loose = st.sampled_from((1e-1, 1e-2, 1e-4))
forward_solvers = st.one_of(
    st.builds(Anderson, loose, st.just(300)),
    st.builds(Picard, loose, st.just(20_000)),
    st.builds(Nesterov, loose, st.just(3000)),
)
adjoints = st.one_of(forward_solvers, st.builds(GMRES, loose, st.just(300), st.sampled_from((3, 30))))

CLAIM = Claim(
    id="C8",
    statement="‖x̂ − x*‖ ≤ r/(1−L), and the gradient is off by at most the bound of S6 in r and s",
    source="arXiv 2006.16218; PROOFS S6",
    assumptions="L < 1; M_J, M_B Lipschitz constants of the Jacobians",
    examples=st.tuples(
        st.one_of(synthetic.contractions, synthetic.isotropics, batches), forward_solvers, adjoints
    ),
    sides=lambda case, forward_solver, adjoint: _sides(case, forward_solver, adjoint, 1 - case.L),
    negative_control=lambda case, forward_solver, adjoint: _sides(case, forward_solver, adjoint, 1.0),
    false_statement="without the factors 1/(1−L)",
    attained=True,
)
