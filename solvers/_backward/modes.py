"""Backward modes: truncated backpropagation and implicit differentiation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from .._adjoint.adjoint_map import AdjointSolver, taped_adjoint
from .._adjoint.warm_start import solve_from
from .._core.argument_checks import at_least, fraction
from .._core.input_checks import check_part, is_batched
from .._core.map_guard import AutocastState, GuardedMap
from .._core.maps import Loss, Map
from .._core.results import FixedPoint, Solution, SolveReport
from .._core.tape import LeafVersions, tape_ends
from .checkpoint_segment import CheckpointSegment

SECOND_DERIVATIVE = "an implicit gradient cannot be differentiated again: leave create_graph=True out"
BATCHED = (
    "an implicit gradient takes one cotangent at a time: leave is_grads_batched=True, vectorize=True and torch.func "
    "transforms out, and call torch.autograd.grad for each"
)


@dataclass(frozen=True, slots=True)
class TruncatedBackprop:
    """Backpropagate through ``steps`` further applications of T, starting at the point of the forward solver.

    No gradient flows into that point. At the equilibrium, without damping, ``g = Bᵀ Σ_{k<steps} (Jᵀ)^k v``.

    Tape: ``steps`` applications. Cost of a backward pass: ``steps`` vector-Jacobian products.

    Attributes:
        steps: number of recorded applications, at least 1.
        damping: λ in (0, 1]; each step is ``(1 − λ)x + λT(x)``, a contraction by ``1 − λ(1 − L)`` (THEORY C14).
        segment: checkpoint every ``segment`` applications, or 0 for none. Tape: one segment, and a point for every
            other; the backward pass repeats the applications.

    Raises:
        ValueError: an argument is out of its range.
    """

    steps: int
    damping: float = 1.0
    segment: int = 0

    def __post_init__(self) -> None:
        at_least("steps", self.steps, 1)
        fraction("damping", self.damping)
        at_least("segment", self.segment, 0)

    @property
    def transformable(self) -> bool:
        """Whether transforms of ``torch.func`` are supported: without checkpoints."""
        return not self.segment

    def __call__(self, T: Map, point: FixedPoint, loss: Loss | None = None, /) -> Solution:
        recomputed: list[float] = []
        if not self.segment or not torch.is_grad_enabled():
            x = self._steps(T, point.x, self.steps)
            return Solution(x, point.report, self.steps, recomputed=recomputed)
        if isinstance(T, GuardedMap):
            T.copy_first = True  # a checkpoint cannot start its tape again
        x, done = point.x, 0
        while done < self.steps:
            size = min(self.segment, self.steps - done)
            done += size
            x = CheckpointSegment(T, self._steps, size, recomputed, done == self.steps)(x)
        return Solution(x, point.report, self.steps, recomputed=recomputed)

    def _steps(self, T: Map, x: Tensor, count: int) -> Tensor:
        for _ in range(count):
            x = T(x) if self.damping == 1 else torch.lerp(x, T(x), self.damping)
        return x


@dataclass(frozen=True, slots=True)
class ImplicitDifferentiation:
    """Record one application of T at the point x of the forward solver; ``g = Bᵀu`` with ``u = v + Jᵀu``.

    In the backward pass the cotangent v of ``T(x)`` is replaced by u, which autograd then carries through the recorded
    application into the parameters. The adjoint equation ``(I − Jᵀ)u = v`` is a fixed point, so any forward solver,
    started at ``u = v``, solves it: ``FixedSteps(K − 1)`` is the K-term Neumann series, ``Picard(tol)`` the series to a
    tolerance, ``Anderson(tol)`` accelerates it. ``GMRES(tol)`` and ``CG(tol)`` use that it is linear. If the point
    brings the adjoint of an earlier visit, the solve starts there (``solve_from``).

    Tape: one application. Cost of a backward pass: the products of the adjoint solver, and one more. The report of the
    adjoint solver is appended to ``Solution.adjoint``.

    Attributes:
        adjoint: the adjoint solver.

    Raises:
        ValueError: ``adjoint`` is a class, or no function.
        RuntimeError: in the backward pass, a graph of the gradient is requested (``create_graph=True``), or several
            cotangents at once.
    """

    transformable: ClassVar[bool] = False
    adjoint: AdjointSolver

    def __post_init__(self) -> None:
        check_part("adjoint", self.adjoint, "gmres(0.001)")

    def __call__(self, T: Map, point: FixedPoint, loss: Loss | None = None, /) -> Solution:
        x = point.x.detach()
        if torch.is_grad_enabled():
            x.requires_grad_()
        y = T(x)
        if not y.requires_grad:
            return Solution(y, point.report, 1)
        ends = tape_ends(y, start=x)
        if not ends.may_have_parameters:  # y is on a tape because of x alone
            return Solution(y.detach(), point.report, 1)
        solve = _ImplicitAdjoint(T, point.inverse, self.adjoint, LeafVersions(ends.leaves), point.adjoint)
        y = exchange_cotangent(y, solve, y, x)
        return Solution(y, point.report, 1, solve.reports, solve.recomputed, adjoints=solve.adjoints)


@dataclass(frozen=True, slots=True)
class _ImplicitAdjoint:
    T: Map
    inverse: Map | None
    adjoint: AdjointSolver
    leaves: LeafVersions
    u0: Tensor | None
    adjoints: list[Tensor] = field(default_factory=list[Tensor])
    reports: list[SolveReport] = field(default_factory=list[SolveReport])
    recomputed: list[float] = field(default_factory=list[float])

    def __call__(self, v: Tensor, y: Tensor, x: Tensor) -> Tensor:
        operator = taped_adjoint(self.T, x, y, v, self.inverse, self.recomputed, self.leaves)
        solution = (
            self.adjoint(operator, v) if self.u0 is None else solve_from(self.u0, self.adjoint, operator)
        )
        self.reports.append(solution.report)
        self.adjoints.append(solution.x.detach())
        return solution.x


class _Context(FunctionCtx):
    saved_tensors: tuple[Tensor, ...]
    solve: Callable[..., Tensor]


class _Exchange(torch.autograd.Function):
    """Identity forward, ``v -> solve(v)`` backward.

    The node refers to its input ``y``, never to its output. So there is no reference cycle, and the tape is freed with
    the last tensor that needs it.
    """

    @staticmethod
    def forward(ctx: _Context, y: Tensor, solve: Callable[..., Tensor], *saved: Tensor) -> Tensor:
        ctx.save_for_backward(*saved)
        ctx.solve = solve
        # A copy: a view could not be changed in place by the user, and y, on its tape, must not be.
        return y.clone()

    @staticmethod
    def backward(ctx: _Context, v: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        if torch.is_grad_enabled():
            # Not once_differentiable: torch.autograd.grad leaves its error out of the graph in silence.
            raise RuntimeError(SECOND_DERIVATIVE)
        if is_batched(v):
            raise RuntimeError(BATCHED)
        saved = ctx.saved_tensors
        with AutocastState.around(v).disabled():
            return ctx.solve(v.clone(), *saved), None, *(None for _ in saved)


def exchange_cotangent(y: Tensor, solve: Callable[..., Tensor], *saved: Tensor) -> Tensor:
    """Return a copy of ``y`` whose cotangent ``v`` is replaced by ``solve(v, *saved)`` in every backward pass.

    Hooks and tensors on the tape of ``y`` see the replaced cotangent, once. ``solve`` runs without gradients and
    without autocast; ``v`` is a copy that it may keep. ``saved`` are tensors of the tape that it needs, such as ``y``
    itself: they are released after the backward pass, while whatever ``solve`` closes over lives as long as the result.
    """
    return _Exchange.apply(y, solve, *saved)  # pyright: ignore[reportReturnType, reportUnknownMemberType, reportUnknownVariableType]
