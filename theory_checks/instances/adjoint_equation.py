"""The adjoint equation of a batch with a dense Jacobian, in the form that the adjoint solvers take."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from solvers import Map

from .batches import BatchMap
from .synthetic import Case


@dataclass(slots=True)
class DenseAdjoint:
    """The map ``u -> v + Jᵀu`` with a counter of products. Implements ``solvers.AdjointOperator``.

    Attributes:
        Jt: the transposed Jacobians, of shape ``(samples, n, n)``.
        v: the cotangents, of shape ``(samples, n)``.
        products: number of products with Jᵀ so far.
        inverse: estimate of ``(I − Jᵀ)⁻¹``; there is none.
    """

    Jt: Tensor
    v: Tensor
    products: int = 0
    inverse: Map | None = field(default=None)

    def __call__(self, u: Tensor) -> Tensor:
        """``v + Jᵀu``, of shape ``(samples, n)``."""
        return self.v + self.linear(u)

    def linear(self, u: Tensor) -> Tensor:
        """``Jᵀu``, of shape ``(samples, n)``."""
        self.products += 1
        return (self.Jt @ u[..., None])[..., 0]


@dataclass(slots=True)
class RecordingMap:
    """A map that records its inputs and outputs.

    Attributes:
        T: the map.
        pairs: input and output of each application, detached copies.
    """

    T: Map
    pairs: list[tuple[Tensor, Tensor]] = field(default_factory=list[tuple[Tensor, Tensor]])

    def __call__(self, x: Tensor) -> Tensor:
        """Apply the map once, and record the pair."""
        y = self.T(x)
        self.pairs.append((x.detach().clone(), y.detach().clone()))
        return y


def build_adjoint_equation(case: Case, dtype: torch.dtype) -> DenseAdjoint:
    """The adjoint equation of a batch at its start, with the target of its loss as the cotangent."""
    assert isinstance(case.T, BatchMap), "the map of the case does not separate its samples"
    slope = torch.ones_like(case.T.c)
    if case.T.curved:
        slope = 1 - case.T.apply_to(torch.arange(case.samples), case.x0.view_as(case.T.c)).detach().square()
    J = slope[..., None] * case.T.W
    return DenseAdjoint(J.mT.to(dtype).contiguous(), case.loss.target.view_as(case.T.c).to(dtype))


def sample_residuals(T: Map, x: Tensor) -> Tensor:
    """The residual ``‖T(x) − x‖ / ‖T(x)‖`` of each sample, of shape ``(samples,)``, float64."""
    with torch.no_grad():
        y = T(x).double()
    gap, size = (torch.linalg.vector_norm(z, dim=1) for z in (y - x.double(), y))
    return torch.where(gap == 0, 0, gap / size)
