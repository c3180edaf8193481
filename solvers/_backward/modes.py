"""What autograd sees from the point where a reach ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from .._adjoint.adjoint_map import AdjointSolver, taped_adjoint
from .._core.argument_checks import at_least, share
from .._core.input_checks import batched, instance_of_a_part
from .._core.map_guard import AutocastState, GuardedMap
from .._core.maps import Loss, Map
from .._core.results import FixedPoint, Solution, SolveReport
from .._core.tape import Versions, ends
from .checkpoint_segment import CheckpointSegment

REFUSAL = "an implicit gradient cannot be differentiated again: leave create_graph=True out"
BATCHED = (
    "an implicit gradient takes one cotangent at a time: leave is_grads_batched=True, vectorize=True and torch.func "
    "transforms out, and call torch.autograd.grad for each"
)


@dataclass(frozen=True, slots=True)
class TruncatedBackprop:
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

    @property
    def transformable(self) -> bool:
        """Whether ``torch.func`` sees through it: not through checkpoints."""
        return not self.segment

    def __call__(self, T: Map, at: FixedPoint, loss: Loss | None = None, /) -> Solution:
        recomputed: list[float] = []
        if not self.segment or not torch.is_grad_enabled():
            return Solution(self._steps(T, at.x, self.steps), at.report, self.steps, recomputed=recomputed)
        if isinstance(T, GuardedMap):
            T.careful = True
        x, made = at.x, 0
        while made < self.steps:
            size = min(self.segment, self.steps - made)
            made += size
            x = CheckpointSegment(T, self._steps, size, recomputed, made == self.steps)(x)
        return Solution(x, at.report, self.steps, recomputed=recomputed)

    def _steps(self, T: Map, x: Tensor, count: int) -> Tensor:
        for _ in range(count):
            x = T(x) if self.damping == 1 else torch.lerp(x, T(x), self.damping)
        return x


@dataclass(frozen=True, slots=True)
class ImplicitDifferentiation:
    """Tape T once at the point reached; exchange the cotangent ``v`` for ``u = v + Jᵀu`` on the way back.

    The adjoint equation ``(I − Jᵀ)u = v`` is itself a fixed point, ``u = v + Jᵀu``, so any reach solves
    it, started at ``u = v``: ``FixedSteps(K − 1)`` gives the K-term Neumann series, ``Picard(tol)`` the
    series to a tolerance, ``Anderson(tol)`` accelerates it. It is linear besides: ``GMRES(tol)`` and ``CG(tol)``
    use that. Autograd then carries ``u`` through the one taped application into the parameters: ``Bᵀu``.

    Cost of a backward pass: the applications of the adjoint solve, and one more, each a
    vector-Jacobian product; tape of one application. Its report is appended to
    ``Solution.adjoint``. Asking for a graph of the gradient (``create_graph=True``) raises a ``RuntimeError``.
    """

    transformable: ClassVar[bool] = False
    adjoint: AdjointSolver

    def __post_init__(self) -> None:
        instance_of_a_part("adjoint", self.adjoint, "gmres(0.001)")

    def __call__(self, T: Map, at: FixedPoint, loss: Loss | None = None, /) -> Solution:
        x = at.x.detach()
        if torch.is_grad_enabled():
            x.requires_grad_()
        y = T(x)
        if not y.requires_grad:
            return Solution(y, at.report, 1)
        tape = ends(y, start=x)
        if not tape.learns:
            return Solution(
                y.detach(), at.report, 1
            )  # x alone has put it on a tape, and there is nothing to learn
        trace = TracedPoint(T, at.inverse, self.adjoint, Versions(tape.leaves))
        return Solution(exchanged(y, trace, y, x), at.report, 1, trace.reports, trace.recomputed)


class _Context(FunctionCtx):
    """What the exchange keeps for the way back; typed, as autograd's own context is not."""

    saved_tensors: tuple[Tensor, ...]
    solve: Callable[..., Tensor]


class _Exchange(torch.autograd.Function):
    """Identity forward; on the way back ``v -> solve(v)``.

    The node holds its own input ``y``, never its output, so there is no reference cycle and the tape
    dies with the last tensor that needs it.
    """

    @staticmethod
    def forward(ctx: _Context, y: Tensor, solve: Callable[..., Tensor], *kept: Tensor) -> Tensor:
        ctx.save_for_backward(*kept)
        ctx.solve = solve
        return (
            y.clone()
        )  # A view made here could not be changed in place, and y must not be: it is on a tape.

    @staticmethod
    def backward(ctx: _Context, v: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        if torch.is_grad_enabled():
            # Not once_differentiable: torch.autograd.grad leaves its error out of the graph in silence.
            raise RuntimeError(REFUSAL)
        if batched(v):
            raise RuntimeError(BATCHED)
        kept = ctx.saved_tensors
        with AutocastState.around(v).outside():
            return ctx.solve(v.clone(), *kept), None, *(None for _ in kept)


def exchanged(y: Tensor, solve: Callable[..., Tensor], *kept: Tensor) -> Tensor:
    """``y``, through which each cotangent ``v`` is exchanged for ``solve(v, *kept)``, in every backward pass.

    Hooks and tensors on the tape of ``y`` see what was exchanged, once. The cotangent is a copy that ``solve``
    may keep; it runs without gradients and outside of autocast. A graph of the gradient (``create_graph=True``) is
    refused.

    Args:
        y: a value on a tape.
        solve: ``v -> u``, of the shape of ``y``; ``(v, *kept) -> u`` where tensors are kept for it.
        kept: what it needs of the tape, such as ``y`` itself; let go of after the backward pass, as saved tensors are.
            What ``solve`` closes over lives as long as the value does.

    Returns:
        A tensor of its own, no view: it may be changed in place.

    Raises:
        RuntimeError: on the way back, a graph of the gradient is asked for.
    """
    return _Exchange.apply(y, solve, *kept)  # pyright: ignore[reportReturnType, reportUnknownMemberType, reportUnknownVariableType]


@dataclass(frozen=True, slots=True)
class TracedPoint:
    """What the exchange of an adjoint solve needs on the way back, beside its tensors."""

    T: Map
    inverse: Map | None
    adjoint: AdjointSolver
    leaves: Versions
    reports: list[SolveReport] = field(default_factory=list[SolveReport])
    recomputed: list[float] = field(default_factory=list[float])

    def __call__(self, v: Tensor, y: Tensor, x: Tensor) -> Tensor:
        """``u`` with ``u = v + (∂y/∂x)ᵀu``."""
        solved = self.adjoint(taped_adjoint(self.T, x, y, v, self.inverse, self.recomputed, self.leaves), v)
        self.reports.append(solved.report)
        return solved.x
