"""The adjoint equation ``u = v + Jᵀu`` of a taped application, as a fixed point and as a linear system."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from .._core.maps import Map, SupportsSelect
from .._core.results import FixedPoint
from .._core.tape import LeafVersions, check_same_value

SELECT_TOLERANCE = 0.05
"""Relative difference allowed between T on selected samples and T on the batch: kernels round differently by shape."""


class AdjointOperator(Protocol):
    """The map ``u -> v + Jᵀu``, whose fixed point is the adjoint ``(I − Jᵀ)⁻¹v``, and its linear part."""

    @property
    def v(self) -> Tensor:
        """The cotangent."""
        ...

    @property
    def inverse(self) -> Map | None:
        """``v -> ≈ (I − Jᵀ)⁻¹v``, if the forward solver has learned it."""
        ...

    def __call__(self, u: Tensor, /) -> Tensor:
        """``v + Jᵀu``: one vector-Jacobian product."""
        ...

    def linear(self, u: Tensor, /) -> Tensor:
        """``Jᵀu``: one vector-Jacobian product."""
        ...


class AdjointSolver(Protocol):
    """Solves the adjoint equation from ``u0``.

    Every ``ForwardSolver`` is one, because the equation is a fixed point too; the others use that it is linear.
    """

    def __call__(self, T: AdjointOperator, u0: Tensor, /) -> FixedPoint: ...


@dataclass(slots=True)
class TapedAdjoint:
    """The adjoint operator of ``y = T(x)``, by products through its tape.

    Attributes:
        x, y: the taped point and its value.
        v: the cotangent, of the shape of ``y``.
        inverse: see ``AdjointOperator``.
    """

    x: Tensor
    y: Tensor
    v: Tensor
    inverse: Map | None

    def __call__(self, u: Tensor) -> Tensor:
        return self.v + self.linear(u)

    def linear(self, u: Tensor) -> Tensor:
        return torch.autograd.grad(self.y, self.x, u, retain_graph=True, materialize_grads=True)[0]


@dataclass(slots=True)
class SelectableTapedAdjoint(TapedAdjoint):
    """The adjoint operator of a map with ``select``.

    Attributes:
        T: the map.
        recomputed: receives the fraction of the batch for each application of T to selected samples, on a new tape.
        batch_size: samples in the batch.
        leaves: the leaves of the tape at the solve, which must not change.
    """

    T: SupportsSelect
    recomputed: list[float]
    batch_size: int
    leaves: LeafVersions

    def select(self, index: Tensor) -> Map:
        """Return the adjoint operator of the samples at ``index`` alone, by one application of T to them."""
        self.leaves.check()
        T, x = self.T.select(index), self.x.detach()[index].requires_grad_()
        with torch.enable_grad():
            y = T(x)
        self.recomputed.append(len(x) / self.batch_size)
        check_same_value(y.detach(), self.y.detach()[index], SELECT_TOLERANCE)
        return taped_adjoint(T, x, y, self.v[index], None, self.recomputed, self.leaves, self.batch_size)


def taped_adjoint(
    T: Map,
    x: Tensor,
    y: Tensor,
    v: Tensor,
    inverse: Map | None,
    recomputed: list[float],
    leaves: LeafVersions,
    batch_size: int = 0,
) -> TapedAdjoint:
    """Return the adjoint operator of ``y = T(x)``, with ``select`` if T has it; a ``batch_size`` of 0 is ``len(x)``."""
    if isinstance(T, SupportsSelect):
        return SelectableTapedAdjoint(x, y, v, inverse, T, recomputed, batch_size or len(x), leaves)
    return TapedAdjoint(x, y, v, inverse)
