"""The floor: a bare loop that makes the same evaluations and the same products, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from solvers import Map, Solution


@dataclass(frozen=True, slots=True)
class StepCounts:
    """What a training step is made of, in whole batches.

    What a solver made on a share of the batch counts as that share, as in ``Solution.work``; the sum of each kind is
    rounded to the nearest.

    Attributes:
        untaped: applications without a tape.
        taped_applications: applications on the tape that a cotangent passes through on its way to the parameters, each
            with one product.
        adjoint: products beyond them.
        recomputed: applications on a tape that no such cotangent passes through: repeated by ``backward()``, or at points
            that were given up.
    """

    untaped: int
    taped_applications: int
    adjoint: int
    recomputed: int = 0

    @classmethod
    def of(cls, solution: Solution) -> StepCounts:
        """The work that a solution did, after its ``backward()``."""
        adjoint = sum(report.evaluations for report in solution.adjoint)
        passed = solution.products - adjoint
        # A search has no application but those that it taped anew; the last of them is the one that is passed through.
        missing = max(0.0, 1.0 - passed) if adjoint else 0.0
        again = solution.taped_applications + sum(solution.recomputed) - passed - missing
        counts = (solution.forward.evaluations, passed + missing, adjoint - missing, again)
        return cls(*(max(0, round(count)) for count in counts))


def bare_step(T: Map, x0: Tensor, loss: Callable[[Tensor], Tensor], work: StepCounts) -> None:
    """Forward and backward with no solver: gradients are left in the parameters of T."""
    x = x0
    with torch.no_grad():
        for _ in range(work.untaped):
            x = T(x)
    for _ in range(work.recomputed):
        T(x.detach().requires_grad_())
    if not work.adjoint:
        for _ in range(work.taped_applications):
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
