"""The full implicit gradient (deep equilibrium)."""

from __future__ import annotations

from ._backward.modes import ImplicitDifferentiation
from ._core.solver import Solver
from ._forward.anderson import Anderson


def deq(tol: float = 1e-6, budget: int = 200) -> Solver:
    """The equilibrium to a tolerance without a tape, then ``(I − Jᵀ)u = v`` to the same tolerance.

    ``g = Bᵀ(I − Jᵀ)⁻¹v``: the gradient of the loss at the equilibrium, up to the two tolerances. Both solves
    are Anderson-accelerated and stop on a relative residual, so that scaling the loss by c scales the
    estimate by c. A solve that spends its budget first says so: ``Solution.converged`` is False, and
    its residual stands in ``Solution.forward`` or ``Solution.adjoint``.

    Cost: as many applications and vector-Jacobian products as the tolerance takes (plus one each), a
    tape of one application.

    Args:
        tol: relative residual at which each of the two solves stops.
        budget: applications at most, and vector-Jacobian products at most.

    Raises:
        ValueError: ``tol`` is not positive, or ``budget`` is below 1.

    Source: Bai, Kolter, Koltun, *Deep equilibrium models* (arXiv 1909.01377).
    """
    solve = Anderson(tol=tol, budget=budget)
    label = f"deq({tol:g})" if budget == 200 else f"deq({tol:g}, {budget})"
    return Solver(label, solve, ImplicitDifferentiation(solve))
