"""Implicit differentiation, composed of any forward and any adjoint solve."""

from __future__ import annotations

from ._adjoint import Adjoint
from ._cg import CG
from ._core import Reach, Solver
from ._entry import instance_of_a_part
from ._gmres import GMRES
from ._label import call
from ._pull import Implicit
from ._shared import Shared

LINEAR = (GMRES, CG, Shared)
"""What solves the adjoint equation and nothing else."""


def implicit(forward: Reach, adjoint: Adjoint) -> Solver:
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
    return Solver(f"implicit({call(forward)}, {call(adjoint)})", forward, Implicit(adjoint))
