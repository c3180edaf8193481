"""A training loss and its estimated gradient as functions of θ, with all work counted."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from solvers import Solver

from ...external import ExternalSolver
from ...measurement.memory import saved_bytes
from ...measurement.training import parameters, training_step
from ...tasks import Problem
from ..gradients import flatten, leaf_gradients


class Exhausted(Exception):  # noqa: N818
    """An evaluation was asked for after the last one that the budget pays."""


@dataclass(slots=True)
class CountedObjective:
    """``θ -> (ℓ, g)`` on the training batch of a problem: full batch, float64.

    Attributes:
        problem: its operator is moved.
        solver: estimates g.
        warm: each solve starts at the solution of the one before, not at the start of the task.
        budget: products after which no further evaluation begins.
        products: applications and vector–Jacobian products of the whole batch so far.
        evaluations: evaluations so far.
    """

    problem: Problem
    solver: Solver | ExternalSolver
    warm: bool
    budget: float
    products: float = field(default=0.0, init=False)
    evaluations: int = field(default=0, init=False)
    _last: Tensor | None = field(default=None, init=False)

    @property
    def theta(self) -> Tensor:
        """A copy of θ, as one vector."""
        return flatten([p.detach() for p in parameters(self.problem)])

    def move(self, theta: Tensor) -> None:
        """Set θ."""
        set_parameters(self.problem, theta)

    def __call__(self, theta: Tensor) -> tuple[float, Tensor]:
        """The loss and its estimated gradient at θ.

        Raises:
            Exhausted: the budget is spent, or the loss or the gradient is not finite.
        """
        if self.products >= self.budget:
            raise Exhausted("budget")
        self.move(theta)
        solution, value = training_step(self.solver, self.problem, self.problem.train, self._last)
        self.products += solution.work
        self.evaluations += 1
        gradient = flatten(leaf_gradients(parameters(self.problem)))
        if not math.isfinite(float(value)) or not bool(gradient.isfinite().all()):
            raise Exhausted("not finite")
        if self.warm:
            self._last = solution.x.detach()
        return float(value), gradient

    def tape(self) -> int:
        """Bytes that an evaluation at the present θ keeps for its backward pass; not counted as work."""
        problem, batch = self.problem, self.problem.train
        known = [*problem.operator.parameters(), *problem.operator.buffers(), *problem.physics.buffers()]
        with saved_bytes([*known, batch.truth, batch.y, batch.x0]) as saved:
            training_step(self.solver, problem, batch, tape=saved)
        return saved.count


def set_parameters(problem: Problem, theta: Tensor) -> None:
    """Set the learnable parameters of the operator of a problem to a vector."""
    into = parameters(problem)
    with torch.no_grad():
        for parameter, values in zip(into, theta.split([p.numel() for p in into]), strict=True):
            parameter.copy_(values.view_as(parameter))
