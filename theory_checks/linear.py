"""The adjoint equation of a batch by dense algebra, as the solves of the library are given it, counted and kept."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from solvers import Map

from .batches import Together
from .cases import Case


@dataclass(slots=True)
class Dense:
    """``u -> v + Jᵀu``: ``solvers.Affine``, with every product counted.

    Attributes:
        Jt: ``(samples, n, n)``.
        v: ``(samples, n)``.
        products: so far.
        inverse: none.
    """

    Jt: Tensor
    v: Tensor
    products: int = 0
    inverse: Map | None = field(default=None)

    def __call__(self, u: Tensor) -> Tensor:
        """``v + Jᵀu``."""
        return self.v + self.linear(u)

    def linear(self, u: Tensor) -> Tensor:
        """``Jᵀu``."""
        self.products += 1
        return (self.Jt @ u[..., None])[..., 0]


@dataclass(slots=True)
class Kept:
    """A map that keeps what it was applied to, and what came out."""

    T: Map
    pairs: list[tuple[Tensor, Tensor]] = field(default_factory=list[tuple[Tensor, Tensor]])

    def __call__(self, x: Tensor) -> Tensor:
        """One application."""
        y = self.T(x)
        self.pairs.append((x.detach().clone(), y.detach().clone()))
        return y


def adjoint_equation(case: Case, dtype: torch.dtype) -> Dense:
    """That of a batch at its start, with its target for a cotangent."""
    assert isinstance(case.T, Together), "the samples of this map are not known apart"
    slope = torch.ones_like(case.T.c)
    if case.T.curved:
        slope = 1 - case.T.of(torch.arange(case.samples), case.x0.view_as(case.T.c)).detach().square()
    J = slope[..., None] * case.T.W
    return Dense(J.mT.to(dtype).contiguous(), case.loss.target.view_as(case.T.c).to(dtype))


def residuals(T: Map, x: Tensor) -> Tensor:
    """``‖T(x) − x‖ / ‖T(x)‖`` of each sample, float64."""
    with torch.no_grad():
        y = T(x).double()
    gap, size = (torch.linalg.vector_norm(z, dim=1) for z in (y - x.double(), y))
    return torch.where(gap == 0, 0, gap / size)
