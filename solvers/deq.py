"""The full implicit gradient (deep equilibrium)."""

from __future__ import annotations

from ._backward.modes import ImplicitDifferentiation
from ._core.solver import Solver
from ._forward.anderson import Anderson


def deq(tol: float = 1e-6, budget: int = 200) -> Solver:
    """``g = Bᵀ(I − Jᵀ)⁻¹v`` at the equilibrium, both equations solved to the relative residual ``tol``.

    Both solves are Anderson-accelerated. Their tolerances are relative, so scaling the loss by c scales the estimate by
    c. If a solve spends its budget first, ``Solution.converged`` is False; the residuals are in ``Solution.forward``
    and ``Solution.adjoint``.

    Cost: as many applications and vector-Jacobian products as the tolerance takes, plus one each. Tape: one
    application.

    Args:
        tol: relative residual at which each of the two solves stops.
        budget: maximal number of applications, and of vector-Jacobian products.

    Raises:
        ValueError: ``tol`` is not positive, or ``budget`` is below 1.

    Source: Bai, Kolter, Koltun, *Deep equilibrium models* (arXiv 1909.01377).
    """
    solve = Anderson(tol=tol, budget=budget)
    label = f"deq({tol:g})" if budget == 200 else f"deq({tol:g}, {budget})"
    return Solver(label, solve, ImplicitDifferentiation(solve))
