"""The floor: a bare loop that makes the same evaluations and the same products, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from solvers import Map, Report, Solution


@dataclass(frozen=True, slots=True)
class Work:
    """What a training step is made of: applications without a tape, on it, and again on the way back; adjoint products.

    Each is of the whole batch: those that a solver made on a share of it count as that share.
    """

    untaped: int
    recorded: int
    adjoint: int
    again: int = 0

    @classmethod
    def of(cls, solution: Solution) -> Work:
        """The work that a solution did, after its ``backward()``."""
        return cls(
            _whole(solution.reached),
            solution.recorded,
            sum(_whole(report) for report in solution.adjoint),
            sum(solution.again),
        )


def _whole(report: Report) -> int:
    return round(report.evaluations)


def bare_step(T: Map, x0: Tensor, loss: Callable[[Tensor], Tensor], work: Work) -> None:
    """Forward and backward with no solver: gradients are left in the parameters of T."""
    x = x0
    with torch.no_grad():
        for _ in range(work.untaped):
            x = T(x)
    for _ in range(work.again):
        T(x.detach().requires_grad_())
    if not work.adjoint:
        for _ in range(work.recorded):
            x = T(x)
        loss(x).backward()
        return
    x = x.detach().requires_grad_()
    y = T(x)
    end = y.detach().requires_grad_()
    loss(end).backward()
    assert end.grad is not None, "the loss does not depend on the state"
    v = u = end.grad
    for _ in range(work.adjoint):
        (pulled,) = torch.autograd.grad(y, x, u, retain_graph=True)
        u = v + pulled
    y.backward(u)
