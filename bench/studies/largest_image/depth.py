"""The smallest unrolling whose gradient is accurate enough."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from solvers import Solver, unrolled
from solvers.conformance import relative_error

from ...config.lookup import parse_solver
from ...external import ExternalSolver
from ...measurement.training import parameters, training_step
from ...tasks import Problem, Task
from .trial import problem_on, synthetic_problem

REFERENCE = "implicit(anderson(1e-10, 3000), gmres(1e-10, 500))"
"""In float64."""
DEEPEST = 1024


def gradient_of(solver: Solver | ExternalSolver, problem: Problem) -> Tensor:
    """The gradient by all parameters, float64, one after another."""
    training_step(solver, problem, problem.train)
    return torch.cat([p.grad.flatten() for p in parameters(problem) if p.grad is not None]).double()


def errors_on(task: Task, sides: tuple[int, ...]) -> Callable[[Solver | ExternalSolver], float]:
    """``solver -> relative error`` of its gradient in float32 on a synthetic image, against one in float64."""
    problem = synthetic_problem(task, sides, torch.device("cpu"))
    exact = gradient_of(parse_solver(REFERENCE), problem_on(task, problem.train.truth.double()))
    return lambda solver: relative_error(gradient_of(solver, problem), exact)


def smallest_depth(error: Callable[[Solver | ExternalSolver], float], goal: float) -> int | None:
    """The K from which on ``unrolled(K)`` is within ``goal``, by bisection; ``None`` if it is beyond ``DEEPEST``.

    The error is taken to fall with K, as it does up to its last crossing of the goal.
    """
    above = 1
    while error(unrolled(above)) > goal:
        above *= 2
        if above > DEEPEST:
            return None
    below = above // 2
    while above - below > 1:
        middle = (above + below) // 2
        below, above = (below, middle) if error(unrolled(middle)) <= goal else (middle, above)
    return above
