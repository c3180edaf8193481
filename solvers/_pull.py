"""What autograd sees from the point where a reach ended."""

# The types of torch.utils.checkpoint are partial.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx
from torch.utils.checkpoint import checkpoint

from ._adjoint import Adjoint, adjoint_map
from ._core import Equilibrium, Loss, Map, Report, Solution, at_least, share

REFUSAL = "an implicit gradient cannot be differentiated again: leave create_graph=True out"


@dataclass(frozen=True, slots=True)
class Tracked:
    """Backpropagate through ``steps`` further applications of T.

    Cost of a backward pass: ``steps`` vector-Jacobian products; tape of ``steps`` applications.
    The start of the recorded applications is a constant: no gradient flows into the reach.

    Attributes:
        steps: how many, at least 1 (there would be no gradient).
        damping: λ in (0, 1]; each step is ``(1 − λ)x + λT(x)``, which contracts by ``1 − λ(1 − L)`` (THEORY C14).
        segment: 0, or how many applications are made again on the way back in place of being kept: the tape is then
            that of one segment and a point for every other.

    Raises:
        ValueError: one of them is out of its range.
    """

    steps: int
    damping: float = 1.0
    segment: int = 0

    def __post_init__(self) -> None:
        at_least("steps", self.steps, 1)
        share("damping", self.damping)
        at_least("segment", self.segment, 0)

    def __call__(self, T: Map, at: Equilibrium, loss: Loss | None = None, /) -> Solution:
        again: list[float] = []
        if not self.segment or not torch.is_grad_enabled():
            return Solution(self._steps(T, at.x, self.steps), at.report, self.steps, again=again)
        x, made = at.x, 0
        while made < self.steps:
            size = min(self.segment, self.steps - made)
            x = self._segment(T, x, size, again)
            made += size
        return Solution(x, at.report, self.steps, again=again)

    def _steps(self, T: Map, x: Tensor, count: int) -> Tensor:
        for _ in range(count):
            x = T(x) if self.damping == 1 else torch.lerp(x, T(x), self.damping)
        return x

    def _segment(self, T: Map, x: Tensor, size: int, again: list[float]) -> Tensor:
        seen = 0

        def counted(x: Tensor) -> Tensor:
            nonlocal seen
            seen += 1
            if seen > size:  # on the way back
                again.append(1)
            return T(x)

        def run(x: Tensor) -> Tensor:
            return self._steps(counted, x, size)

        found: Tensor = checkpoint(run, x, use_reentrant=False, preserve_rng_state=False)  # pyright: ignore[reportAssignmentType]
        return found


@dataclass(frozen=True, slots=True)
class Implicit:
    """Tape T once at the point reached; exchange the cotangent ``v`` for ``u = v + Jᵀu`` on the way back.

    The adjoint equation ``(I − Jᵀ)u = v`` is itself a fixed point, ``u = v + Jᵀu``, so any reach solves
    it, started at ``u = v``: ``Iterate(K − 1)`` gives the K-term Neumann series, ``Picard(tol)`` the
    series to a tolerance, ``Anderson(tol)`` accelerates it. It is linear besides: ``GMRES(tol)`` and ``CG(tol)``
    use that. Autograd then carries ``u`` through the one taped application into the parameters: ``Bᵀu``.

    Cost of a backward pass: the applications of the adjoint solve, and one more, each a
    vector-Jacobian product; tape of one application. Its report is appended to
    ``Solution.adjoint``. Asking for a graph of the gradient (``create_graph=True``) raises a ``RuntimeError``.
    """

    adjoint: Adjoint

    def __call__(self, T: Map, at: Equilibrium, loss: Loss | None = None, /) -> Solution:
        x = at.x.detach()
        if torch.is_grad_enabled():
            x.requires_grad_()
        y = T(x)
        if not y.requires_grad:
            return Solution(y, at.report, 1)
        trace = Trace(T, at.inverse, self.adjoint)
        return Solution(exchange(y, x, trace), at.report, 1, trace.reports, trace.again)


@dataclass(frozen=True, slots=True)
class Trace:
    """What an exchange needs on the way back, beside its tensors."""

    T: Map
    inverse: Map | None
    adjoint: Adjoint
    reports: list[Report] = field(default_factory=list[Report])
    again: list[float] = field(default_factory=list[float])


class _Context(FunctionCtx):
    """What the exchange keeps for the way back; typed, as autograd's own context is not."""

    saved_tensors: tuple[Tensor, ...]
    trace: Trace


class _Exchange(torch.autograd.Function):
    """Identity forward; on the way back ``v -> u`` with ``u = v + (∂y/∂x)ᵀu``.

    The node holds its own input ``y``, never its output, so there is no reference cycle and the tape
    dies with the last tensor that needs it.
    """

    @staticmethod
    def forward(ctx: _Context, y: Tensor, x: Tensor, trace: Trace) -> Tensor:
        ctx.save_for_backward(y, x)
        ctx.trace = trace
        return y.view_as(y)

    @staticmethod
    def backward(ctx: _Context, v: Tensor) -> tuple[Tensor, None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        if torch.is_grad_enabled():
            # Not once_differentiable: torch.autograd.grad leaves its error out of the graph in silence.
            raise RuntimeError(REFUSAL)
        y, x = ctx.saved_tensors
        trace = ctx.trace
        solved = trace.adjoint(adjoint_map(trace.T, x, y, v, trace.inverse, trace.again), v)
        trace.reports.append(solved.report)
        return solved.x, None, None


def exchange(y: Tensor, x: Tensor, trace: Trace) -> Tensor:
    """``y = T(x)``, through which cotangents are exchanged for their adjoints."""
    return _Exchange.apply(y, x, trace)  # pyright: ignore[reportReturnType, reportUnknownMemberType, reportUnknownVariableType]
