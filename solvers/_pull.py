"""What autograd sees from the point where a reach ended."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

from ._core import Equilibrium, Map, Reach, Report, Solution, at_least


@dataclass(frozen=True, slots=True)
class Tracked:
    """Backpropagate through ``steps`` further applications of T.

    Cost of a backward pass: ``steps`` vector-Jacobian products; tape of ``steps`` applications.
    The start of the recorded applications is a constant: no gradient flows into the reach.

    Raises:
        ValueError: ``steps`` is below 1 (there would be no gradient).
    """

    steps: int

    def __post_init__(self) -> None:
        at_least("steps", self.steps, 1)

    def __call__(self, T: Map, at: Equilibrium, /) -> Solution:
        x = at.x
        for _ in range(self.steps):
            x = T(x)
        return Solution(x, at.report, self.steps)


@dataclass(frozen=True, slots=True)
class Implicit:
    """Tape T once at the point reached; exchange the cotangent ``v`` for ``u = v + Jᵀu`` on the way back.

    The adjoint equation ``(I − Jᵀ)u = v`` is itself a fixed point, ``u = v + Jᵀu``, so any reach solves
    it, started at ``u = v``: ``Iterate(K − 1)`` gives the K-term Neumann series, ``Picard(tol)`` the
    series to a tolerance, ``Anderson(tol)`` accelerates it. Autograd then carries ``u`` through the
    one taped application into the parameters: ``Bᵀu``.

    Cost of a backward pass: the applications of the adjoint reach, and one more, each a
    vector-Jacobian product; tape of one application. Its report is appended to
    ``Solution.adjoint``. Differentiating twice raises a ``RuntimeError``.
    """

    adjoint: Reach

    def __call__(self, T: Map, at: Equilibrium, /) -> Solution:
        x = at.x.detach()
        if torch.is_grad_enabled():
            x.requires_grad_()
        y = T(x)
        reports: list[Report] = []
        if y.requires_grad:
            y = _exchange(y, x, self.adjoint, reports)
        return Solution(y, at.report, 1, reports)


class _Context(FunctionCtx):
    """What the exchange keeps for the way back; typed, as autograd's own context is not."""

    saved_tensors: tuple[Tensor, ...]
    adjoint: Reach
    reports: list[Report]


class _Exchange(torch.autograd.Function):
    """Identity forward; on the way back ``v -> u`` with ``u = v + (∂y/∂x)ᵀu``.

    The node holds its own input ``y``, never its output, so there is no reference cycle and the tape
    dies with the last tensor that needs it.
    """

    @staticmethod
    def forward(ctx: _Context, y: Tensor, x: Tensor, adjoint: Reach, reports: list[Report]) -> Tensor:
        ctx.save_for_backward(y, x)
        ctx.adjoint = adjoint
        ctx.reports = reports
        return y.view_as(y)

    @staticmethod
    @once_differentiable
    def backward(ctx: _Context, v: Tensor) -> tuple[Tensor, None, None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        y, x = ctx.saved_tensors

        def adjoint_map(u: Tensor) -> Tensor:
            (pulled,) = torch.autograd.grad(y, x, u, retain_graph=True, materialize_grads=True)
            return v + pulled

        solved = ctx.adjoint(adjoint_map, v)
        ctx.reports.append(solved.report)
        return solved.x, None, None, None


def _exchange(y: Tensor, x: Tensor, adjoint: Reach, reports: list[Report]) -> Tensor:
    return _Exchange.apply(y, x, adjoint, reports)  # pyright: ignore[reportReturnType, reportUnknownMemberType, reportUnknownVariableType]
