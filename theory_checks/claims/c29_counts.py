"""C29. Counts are true.

What a solution says it cost is what it did cost, seen from inside the map: ``applications`` of T, with and without a
tape, those made again among them; ``vjps``, the passes back through it; and ``evaluations``, applications times
the share of the batch, are the samples that T was applied to. Equalities between whole numbers.

Source: what ``solvers.Solution`` and ``solvers.Report`` say of themselves.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from hypothesis import strategies as st
from torch import Tensor
from torch.autograd.function import FunctionCtx

from solvers import Map, Solver

from ..engine.claim import Claim
from ..engine.inequality import Sides
from ..instances.batches import SampleSubset, solver_map, solver_state, uneven
from ..instances.synthetic import Case
from .certified_runs import estimators


@dataclass(slots=True)
class MapUsage:
    """What a map was used for: applications, samples of those without a tape, and passes back."""

    applications: int = 0
    samples: int = 0
    passes: int = 0


class _Passed(torch.autograd.Function):
    """The identity, which counts what passes on the way back."""

    @staticmethod
    def forward(ctx: FunctionCtx, y: Tensor, seen: MapUsage) -> Tensor:
        ctx.seen = seen  # pyright: ignore[reportAttributeAccessIssue]
        return y.view_as(y)

    @staticmethod
    def backward(ctx: FunctionCtx, v: Tensor) -> tuple[Tensor, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx.seen.passes += 1  # pyright: ignore[reportAttributeAccessIssue]
        return v, None


@dataclass(frozen=True, slots=True)
class UsageCountingMap:
    """A map that is watched from inside, and can leave samples out."""

    T: Map
    seen: MapUsage = field(default_factory=MapUsage)

    def __call__(self, x: Tensor) -> Tensor:
        """One application."""
        self.seen.applications += 1
        y = self.T(x)
        if not torch.is_grad_enabled():
            self.seen.samples += len(x)
            return y
        return _Passed.apply(y, self.seen)  # pyright: ignore[reportReturnType]

    def pick(self, index: Tensor) -> UsageCountingMap:
        """Those at ``index`` alone, counted with the rest."""
        assert isinstance(self.T, SampleSubset)
        return UsageCountingMap(self.T.pick(index), self.seen)


def _sides(case: Case, solver: Solver, tape: bool = True) -> Sides:
    T = UsageCountingMap(solver_map(case))
    solution = solver(T, solver_state(case, case.x0))
    reached = solution.reached
    evaluations = abs(T.seen.samples - round(reached.evaluations * case.samples, 6))
    case.T.zero_grad()
    case.loss(solution.x.flatten(), case.T.theta).backward()
    said = solution.applications if tape else reached.applications
    return Sides(abs(T.seen.applications - said) + abs(T.seen.passes - solution.vjps) + evaluations, 0.0)


CLAIM = Claim(
    id="C29",
    statement="applications, products and evaluations of samples that are reported are those that were made",
    source="solvers.Solution, solvers.Report",
    assumptions="none",
    examples=st.tuples(uneven, estimators),
    sides=_sides,
    negative_control=lambda case, solver: _sides(case, solver, tape=False),
    false_statement="those on a tape are not among them",
    rounding=0.0,
    outside=lambda *_: None,
)
