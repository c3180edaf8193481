"""Implicit differentiation, composed of any forward and any adjoint solve."""

from __future__ import annotations

from ._adjoint.adjoint_map import AdjointSolver
from ._adjoint.cg import CG
from ._adjoint.gmres import GMRES
from ._adjoint.shine import SharedInverse
from ._backward.modes import ImplicitDifferentiation
from ._core.input_checks import instance_of_a_part
from ._core.label import call
from ._core.solver import ForwardSolver, Solver

LINEAR = (GMRES, CG, SharedInverse)
"""What solves the adjoint equation and nothing else."""


def implicit(forward: ForwardSolver, adjoint: AdjointSolver) -> Solver:
    """The equilibrium by ``forward`` without a tape, then ``(I − Jᵀ)u = v`` by ``adjoint`` through one recorded step.

    ``g ≈ Bᵀ(I − Jᵀ)⁻¹v``, as exact as the two solves are: ``implicit(anderson(1e-3), gmres(1e-2))``. The better known
    compositions have names: ``neumann(N, K) = implicit(iterate(N), iterate(K − 1))``, ``deq(tol)``.

    Cost: the applications of ``forward`` plus one, the vector-Jacobian products of ``adjoint`` plus one, a tape of one
    application.

    Args:
        forward: how the equilibrium is reached: ``iterate(N)``, ``picard(tol)``, ``nesterov(tol)``, ``anderson(tol)``.
        adjoint: how the adjoint equation is solved: any of these, ``gmres(tol)``, ``cg(tol)`` or ``shared(k)``.

    Raises:
        ValueError: one of the two is no solve, but a class, say; or ``forward`` is one of linear equations only.
    """
    for name, part in (("forward", forward), ("adjoint", adjoint)):
        instance_of_a_part(name, part, "anderson(0.001)")
    if isinstance(forward, LINEAR):
        raise ValueError(f"{call(forward)} solves linear equations only: give it as the adjoint")
    return Solver(f"implicit({call(forward)}, {call(adjoint)})", forward, ImplicitDifferentiation(adjoint))
