"""The pull of a gradient that goes on until its certificate is met."""

# torch.linalg carries no types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from ._core import Equilibrium, Loss, Map, Solution, at_least, positive
from ._curvature import multiple
from ._pull import REFUSAL
from ._search import Gradient, Search

AHEAD = 0.002
"""The first approach goes to ``AHEAD · rtol · (1 − L)²``: kinks are resolved there, as a rule."""
INVERSE = 10.0
"""``1/(1−L)``, where L is not known yet."""
SAME = 1e-6
"""Cotangents that differ by no more, relatively, and up to a factor, are taken for one."""
ADJOINT = 0.01
"""The adjoint equation is solved to this times ``rtol`` where there can be no certificate."""


@dataclass(frozen=True, slots=True)
class Certified:
    """Approach the equilibrium, and solve the adjoint equation, as far as a certificate asks for, and no further.

    Attributes:
        rtol: relative error of the gradient to stay below.
        budget: applications and products at most, taken together.

    Raises:
        ValueError: ``rtol`` is not positive, or ``budget`` is below 1.
    """

    transformable: ClassVar[bool] = False
    rtol: float
    budget: int

    def __post_init__(self) -> None:
        positive("rtol", self.rtol)
        at_least("budget", self.budget, 1)

    def __call__(self, T: Map, at: Equilibrium, loss: Loss | None = None, /) -> Solution:
        search = Search(T, loss, self.goal, ADJOINT * self.rtol, self.budget, at.x)
        inverse = 1 / (1 - search.known.L) if search.known is not None and search.known.L < 1 else INVERSE
        search.approach(AHEAD * self.rtol / inverse**2)
        if not torch.is_grad_enabled():
            return Solution(T(search.x), search.reached, 1)
        search.tape()
        if not search.y.requires_grad:
            return Solution(search.y, search.reached, 0, again=search.again)
        if loss is not None:
            search.settle()
        y = _Handed.apply(search, search.y.detach(), *search.leaves)  # pyright: ignore[reportArgumentType]
        return Solution(y, search.reached, 0, search.solves, search.again, search.found)  # pyright: ignore[reportArgumentType]

    def goal(self, gradient: Gradient) -> float:
        """``‖g − F'‖ ≤ rtol ‖F'‖`` follows from ``‖g − F'‖ ≤ rtol/(1 + rtol) ‖g‖``."""
        return self.rtol / (1 + self.rtol) * gradient.size


class _Context(FunctionCtx):
    """What is kept for the way back; typed, as autograd's own context is not."""

    search: Search


class _Handed(torch.autograd.Function):
    """The value of a search; on the way back its parameters are handed their gradient, which is there already."""

    @staticmethod
    def forward(ctx: _Context, search: Search, y: Tensor, *leaves: Tensor) -> Tensor:
        ctx.search = search
        return y.view_as(y)

    @staticmethod
    def backward(ctx: _Context, v: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        if torch.is_grad_enabled():
            raise RuntimeError(REFUSAL)
        search = ctx.search
        factor = multiple(v, search.v, SAME) if search.found else None
        if factor is None:
            # No loss was given, or another one came back: the point has to do as it is.
            search.loss = search.u = None
            search.direct, search.v, factor = {}, v, 1.0
            search.settle()
        handed = (factor * search.implicit[id(leaf)].view_as(leaf) for leaf in search.leaves)
        return None, None, *handed
