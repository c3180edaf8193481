"""The slope of the training loss at the equilibrium, by solves on both sides."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from bench.measurement.training import parameters
from bench.tasks import Problem
from solvers import Anderson


def slope_of_solved_loss(problem: Problem, along: Sequence[Tensor], h: float = 1e-5) -> float:
    """Central difference of the loss at the equilibrium of the training batch, with θ moved by ``±h`` along tensors."""
    batch, start = problem.train, problem.start(problem.train)

    def solved(t: float) -> float:
        with torch.no_grad():
            for p, d in zip(parameters(problem), along, strict=True):
                p += t * d
            found = float(problem.loss(Anderson(1e-13, 5000)(problem.limit(batch), start).x, batch))
            for p, d in zip(parameters(problem), along, strict=True):
                p -= t * d
        return found

    return (solved(h) - solved(-h)) / (2 * h)
