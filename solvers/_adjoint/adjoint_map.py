"""The adjoint equation ``u = v + Jᵀu`` of a taped application, as a fixed point and as a linear system."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from .._core.maps import Map, SupportsSelect
from .._core.results import FixedPoint
from .._core.tape import Versions, same

PICKED = 0.05
"""What T may give another value by, relatively, on some samples alone: kernels round otherwise there."""


class AdjointOperator(Protocol):
    """The map ``u -> v + Jᵀu``, whose fixed point is the adjoint ``(I − Jᵀ)⁻¹v``, and its linear part."""

    @property
    def v(self) -> Tensor:
        """The cotangent."""
        ...

    @property
    def inverse(self) -> Map | None:
        """``v -> ≈ (I − Jᵀ)⁻¹v``, where the reach left one behind."""
        ...

    def __call__(self, u: Tensor, /) -> Tensor:
        """``v + Jᵀu``: one vector-Jacobian product."""
        ...

    def linear(self, u: Tensor, /) -> Tensor:
        """``Jᵀu``: one vector-Jacobian product."""
        ...


class AdjointSolver(Protocol):
    """A policy that solves the adjoint equation, started at ``u0``.

    Every ``ForwardSolver`` is one, for the equation is a fixed point too; the others use that it is linear.
    """

    def __call__(self, T: AdjointOperator, u0: Tensor, /) -> FixedPoint: ...


@dataclass(slots=True)
class TapedAdjoint:
    """The adjoint map of ``y = T(x)``, through its tape.

    Attributes:
        x, y: where T was taped, and its value there.
        v: the cotangent, of the shape of ``y``.
        inverse: see ``AdjointOperator``.
    """

    x: Tensor
    y: Tensor
    v: Tensor
    inverse: Map | None

    def __call__(self, u: Tensor) -> Tensor:
        """``v + Jᵀu``."""
        return self.v + self.linear(u)

    def linear(self, u: Tensor) -> Tensor:
        """``Jᵀu``."""
        return torch.autograd.grad(self.y, self.x, u, retain_graph=True, materialize_grads=True)[0]


@dataclass(slots=True)
class SelectableTapedAdjoint(TapedAdjoint):
    """That of a map which can leave samples out.

    Attributes:
        T: the map.
        taped: gets the share of the batch for every application of T on fewer samples, which is taped anew.
        whole: samples in the batch.
        leaves: those of the tape, which must be as they were.
    """

    T: SupportsSelect
    taped: list[float]
    whole: int
    leaves: Versions

    def select(self, index: Tensor) -> Map:
        """The adjoint map of the samples at ``index`` alone: one more application of T, on those.

        Raises:
            RuntimeError: the parameters, or T, are not what they were.
        """
        self.leaves.check()
        T, x = self.T.select(index), self.x.detach()[index].requires_grad_()
        with torch.enable_grad():
            y = T(x)
        self.taped.append(len(x) / self.whole)
        same(y.detach(), self.y.detach()[index], PICKED)
        v = self.v[index]
        return taped_adjoint(T, x, y, v, None, self.taped, self.leaves, self.whole)


def taped_adjoint(
    T: Map,
    x: Tensor,
    y: Tensor,
    v: Tensor,
    inverse: Map | None,
    taped: list[float],
    leaves: Versions,
    whole: int = 0,
) -> TapedAdjoint:
    """The adjoint map of ``y = T(x)``; divisible if T is. ``whole`` counts the samples of the batch; 0 for all of x."""
    if isinstance(T, SupportsSelect):
        return SelectableTapedAdjoint(x, y, v, inverse, T, taped, whole or len(x), leaves)
    return TapedAdjoint(x, y, v, inverse)
