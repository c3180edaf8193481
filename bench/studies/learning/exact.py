"""Exact training losses at given θ, by tight solves on Peaceman–Rachford; no row pays for them."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from solvers import Anderson

from ...operators import peaceman_rachford
from ...tasks import Task, build_problem
from ...tasks.images import Images, Layout
from ...utils.errors import UserError
from ..objective import objective_of

SOLVE = Anderson(1e-8, 2000)
"""The relative residual of the equilibrium puts the loss off by the order of 1e-7 of itself."""


class ExactLoss:
    """``ℓ(x*(θ))`` on the training batch of a task with the crops and the noise of a seed, float64.

    Args:
        task: with any operator of the same equilibrium; the loss is found by ``peaceman_rachford()``.
        images, layout, seed: see ``build_problem``.

    Raises:
        UserError: Peaceman–Rachford has no operator for the task.
    """

    def __init__(self, task: Task, images: Images, layout: Layout, seed: int) -> None:
        task = replace(task, splitting=peaceman_rachford())
        self.problem = build_problem(task, images, layout, seed, dtype=torch.float64)
        self.objective = objective_of(self.problem)
        self.restart()

    def restart(self) -> None:
        """Start the next solve at the start of the task: what a row is told does not depend on the rows before."""
        self.state = self.objective.start

    @torch.no_grad()
    def __call__(self, theta: Tensor) -> float:
        """The loss at θ; the solve starts at the last equilibrium.

        Raises:
            UserError: the solve does not reach its tolerance.
        """
        self.objective.move(theta)
        batch = self.problem.train
        point = SOLVE(self.problem.bind(batch), self.state)
        if not point.report.converged:
            raise UserError(
                f"no exact loss: the equilibrium has a residual of {point.report.residual:.1e}; choose a task "
                "with a ridge"
            )
        self.state = point.x
        return float(self.problem.loss(point.x, batch))
