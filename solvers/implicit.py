"""Implicit differentiation with any forward and any adjoint solver."""

from __future__ import annotations

from ._adjoint.adjoint_map import AdjointSolver
from ._adjoint.cg import CG
from ._adjoint.gmres import GMRES
from ._adjoint.prox_cg import ProxCG
from ._adjoint.shine import SharedInverse
from ._backward.modes import ImplicitDifferentiation
from ._core.input_checks import check_part
from ._core.label import call
from ._core.solver import ForwardSolver, Solver

LINEAR = (GMRES, CG, ProxCG, SharedInverse)
"""Solvers of the adjoint equation only."""


def implicit(forward: ForwardSolver, adjoint: AdjointSolver) -> Solver:
    """``g ≈ Bᵀ(I − Jᵀ)⁻¹v``: the equilibrium by ``forward``, and ``(I − Jᵀ)u = v`` by ``adjoint``.

    As exact as the two solves are, e.g. ``implicit(anderson(1e-3), gmres(1e-2))``. Some compositions have names:
    ``neumann(N, K) = implicit(iterate(N), iterate(K − 1))``, ``deq(tol) = implicit(anderson(tol), anderson(tol))``.

    Cost: the applications of ``forward`` plus one, the vector-Jacobian products of ``adjoint`` plus one. Tape: one
    application.

    Args:
        forward: the forward solver: ``iterate(N)``, ``picard(tol)``, ``nesterov(tol)``, ``anderson(tol)`` or
            ``quasi_newton(tol)``.
        adjoint: the adjoint solver: any of these, ``gmres(tol)``, ``cg(tol)``, ``prox_cg(tol)`` or ``shared(k)``.

    Raises:
        ValueError: one of the two is a class, or no function; or ``forward`` solves linear equations only.
    """
    for name, part in (("forward", forward), ("adjoint", adjoint)):
        check_part(name, part, "anderson(0.001)")
    if isinstance(forward, LINEAR):
        raise ValueError(f"{call(forward)} solves linear equations only: give it as the adjoint")
    return Solver(f"implicit({call(forward)}, {call(adjoint)})", forward, ImplicitDifferentiation(adjoint))
