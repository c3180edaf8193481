"""C29. Reported counts are right.

The counts of a solution are those that the map itself observes: ``applications`` of T, with and without a tape,
including recomputed ones; ``vjps``, the backward passes through T; and ``evaluations``, the applications times
the share of the batch, as numbers of samples that T was applied to. Equalities of whole numbers.

Source: the documentation of ``solvers.Solution`` and ``solvers.SolveReport``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from hypothesis import strategies as st
from torch import Tensor
from torch.autograd.function import FunctionCtx

from solvers import Map, Solver

from ..engine import Claim, Sides
from ..instances import Case
from ..instances.batches import SampleSubset, solver_map, solver_state, uneven
from .certified_runs import estimators


@dataclass(slots=True)
class MapUsage:
    """Counts of a map: applications, samples of those without a tape, and backward passes."""

    applications: int = 0
    samples: int = 0
    passes: int = 0


class _Passed(torch.autograd.Function):
    """The identity, which counts its backward passes."""

    @staticmethod
    def forward(ctx: FunctionCtx, y: Tensor, usage: MapUsage) -> Tensor:
        ctx.usage = usage  # pyright: ignore[reportAttributeAccessIssue]
        return y.view_as(y)

    @staticmethod
    def backward(ctx: FunctionCtx, v: Tensor) -> tuple[Tensor, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx.usage.passes += 1  # pyright: ignore[reportAttributeAccessIssue]
        return v, None


@dataclass(frozen=True, slots=True)
class UsageCountingMap:
    """A map that counts its use, and can leave out samples."""

    T: Map
    usage: MapUsage = field(default_factory=MapUsage)

    def __call__(self, x: Tensor) -> Tensor:
        """Apply the map once; x has one row for each sample."""
        self.usage.applications += 1
        y = self.T(x)
        if not torch.is_grad_enabled():
            self.usage.samples += len(x)
            return y
        return _Passed.apply(y, self.usage)  # pyright: ignore[reportReturnType]

    def select(self, index: Tensor) -> UsageCountingMap:
        """The map on the samples at ``index``, with the same counts."""
        assert isinstance(self.T, SampleSubset)
        return UsageCountingMap(self.T.select(index), self.usage)


def _sides(case: Case, solver: Solver, tape: bool = True) -> Sides:
    T = UsageCountingMap(solver_map(case))
    solution = solver(T, solver_state(case, case.x0))
    evaluations = abs(T.usage.samples - round(solution.forward.evaluations * case.samples, 6))
    case.T.zero_grad()
    case.loss(solution.x.flatten(), case.T.theta).backward()
    reported = solution.applications if tape else solution.forward.applications
    return Sides(
        abs(T.usage.applications - reported) + abs(T.usage.passes - solution.vjps) + evaluations, 0.0
    )


CLAIM = Claim(
    id="C29",
    statement="applications, products and evaluations of samples that are reported are those that were made",
    source="solvers.Solution, solvers.SolveReport",
    assumptions="none",
    examples=st.tuples(uneven, estimators),
    sides=_sides,
    negative_control=lambda case, solver: _sides(case, solver, tape=False),
    false_statement="those on a tape are not among them",
    rounding=0.0,
    outside=lambda *_: None,
)
