"""The training loss of a problem for outer optimisers."""

from __future__ import annotations

from solvers.optimisers import BilevelObjective

from ..measurement.training import parameters
from ..tasks import Problem


def objective_of(problem: Problem) -> BilevelObjective:
    """The training loss on the training batch, as a function of the parameters of the operator."""
    batch = problem.train
    return BilevelObjective(
        lambda: problem.bind(batch), problem.criterion(batch), problem.start(batch), parameters(problem)
    )
