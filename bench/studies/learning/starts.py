"""Cold starts, and the tape of an evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from torch import Tensor

from solvers import Loss, Map, Solution, Solver
from solvers.optimisers import BilevelObjective

from ...external import ExternalSolver
from ...measurement.memory import saved_bytes
from ...measurement.training import training_step
from ...tasks import Problem


@dataclass(frozen=True, slots=True)
class Cold:
    """A solver that starts at one state, whatever state it is given."""

    solver: Solver | ExternalSolver
    start: Tensor

    def __call__(self, T: Map, x0: Tensor, loss: Loss | None = None, /) -> Solution:
        """Solve from ``start``."""
        return self.solver(T, self.start, loss)


def started(solver: Solver | ExternalSolver, objective: BilevelObjective, warm: bool) -> Solver:
    """The solver as it is, or with cold starts; an optimiser only calls it, unless it sets its tolerance."""
    return cast(Solver, solver if warm else Cold(solver, objective.start))


def tape_bytes(problem: Problem, solver: Solver | ExternalSolver) -> int:
    """Bytes that an evaluation at the present θ, from a cold start, keeps for its backward pass."""
    batch = problem.train
    known = [*problem.operator.parameters(), *problem.operator.buffers(), *problem.physics.buffers()]
    with saved_bytes([*known, batch.truth, batch.y, batch.x0]) as saved:
        training_step(solver, problem, batch, tape=saved)
    problem.operator.zero_grad(set_to_none=True)
    return saved.count
