"""Memory of the adjoint solve, in vectors of the size of a state."""

from __future__ import annotations

import math
from typing import Protocol, runtime_checkable

from torch import Tensor

from solvers import CG, GMRES, Map, ProxCG, Solver, SupportsStages, TruncatedBackprop

from ..external import ExternalSolver


@runtime_checkable
class _SolvesAdjoint(Protocol):
    """A backward mode with an adjoint solver."""

    adjoint: object


def adjoint_vectors(solver: Solver | ExternalSolver, T: Map, x: Tensor) -> float:
    """Vectors that the adjoint solve holds at most while a product runs, beside the cotangent; nan where unknown.

    Truncated modes solve no adjoint equation, so 0.

    Args:
        solver: the estimator.
        T, x: the map and a point, by which ``prox_cg`` needs five vectors or seven.
    """
    if not isinstance(solver, Solver):
        return math.nan
    mode = solver.backward_mode
    if isinstance(mode, TruncatedBackprop):
        return 0.0
    adjoint = mode.adjoint if isinstance(mode, _SolvesAdjoint) else None
    if isinstance(adjoint, ProxCG):
        stages = T.stages(x) if isinstance(T, SupportsStages) else None
        return float(adjoint.vectors(stages is not None and stages.definite))
    return float(adjoint.workspace_vectors) if isinstance(adjoint, GMRES | CG) else math.nan
