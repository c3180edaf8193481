"""The bare loop: a training step with the same applications and products as a solver's, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from solvers import Map, Solution


@dataclass(frozen=True, slots=True)
class StepCounts:
    """Applications and products of a training step, in whole batches.

    Work on a share of the batch counts as that share, as in ``Solution.work``; each sum is rounded to an integer.

    Attributes:
        untaped: applications without a tape.
        taped_applications: applications on the tape through which a cotangent reaches the parameters, each with one
            product.
        adjoint: all other products.
        recomputed: all other applications on a tape: repeated by ``backward()``, or at points that were given up.
    """

    untaped: int
    taped_applications: int
    adjoint: int
    recomputed: int = 0

    @classmethod
    def of(cls, solution: Solution) -> StepCounts:
        """The counts of a solution, after its ``backward()``."""
        adjoint = sum(report.evaluations for report in solution.adjoint)
        passed = solution.products - adjoint
        # A certified search makes its gradient from one of the applications that it tapes again.
        missing = max(0.0, 1.0 - passed) if adjoint else 0.0
        recomputed = solution.taped_applications + sum(solution.recomputed) - passed - missing
        counts = (solution.forward.evaluations, passed + missing, adjoint - missing, recomputed)
        return cls(*(max(0, round(count)) for count in counts))


def bare_step(T: Map, x0: Tensor, loss: Callable[[Tensor], Tensor], counts: StepCounts) -> None:
    """Run a forward and a backward pass with these counts; gradients are left in the parameters of T."""
    x = x0
    with torch.no_grad():
        for _ in range(counts.untaped):
            x = T(x)
    for _ in range(counts.recomputed):
        T(x.detach().requires_grad_())
    if not counts.adjoint:
        for _ in range(counts.taped_applications):
            x = T(x)
        loss(x).backward()
        return
    x = x.detach().requires_grad_()
    y = T(x)
    end = y.detach().requires_grad_()
    loss(end).backward()
    assert end.grad is not None, "the loss does not depend on the state"
    v = u = end.grad
    for _ in range(counts.adjoint):
        (Jtu,) = torch.autograd.grad(y, x, u, retain_graph=True)
        u = v + Jtu
    y.backward(u)
