"""The adjoint equation ``u = v + Jᵀu`` of a taped application, as a fixed point and as a linear system."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from .._core.maps import AdjointStages, Map, SupportsSelect, SupportsStages
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


@runtime_checkable
class HasStages(Protocol):
    """An adjoint operator that may be known in two symmetric stages."""

    def stages(self) -> AdjointStages | None:
        """Return them; ``None`` if there are none."""
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
        find_stages: finds the stages of T at ``x``; ``None`` if T has none.
    """

    x: Tensor
    y: Tensor
    v: Tensor
    inverse: Map | None
    find_stages: Callable[[], AdjointStages | None] | None = field(default=None, kw_only=True)
    _stages: AdjointStages | None = field(default=None, init=False, repr=False)

    def __call__(self, u: Tensor) -> Tensor:
        return self.v + self.linear(u)

    def linear(self, u: Tensor) -> Tensor:
        return torch.autograd.grad(self.y, self.x, u, retain_graph=True, materialize_grads=True)[0]

    def stages(self) -> AdjointStages | None:
        """Return the stages of T at ``x``, found at the first call."""
        if self._stages is None and self.find_stages is not None:
            self._stages = self.find_stages()
        return self._stages


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
    count = len(x) if x.ndim else 1
    batch_size = batch_size or count
    find_stages = None
    if isinstance(T, SupportsStages):
        find_stages = partial(
            _stages_of, T, x.detach(), recomputed, count / batch_size if batch_size else 1, leaves
        )
    if isinstance(T, SupportsSelect):
        return SelectableTapedAdjoint(
            x, y, v, inverse, T, recomputed, batch_size, leaves, find_stages=find_stages
        )
    return TapedAdjoint(x, y, v, inverse, find_stages=find_stages)


def _stages_of(
    T: SupportsStages, x: Tensor, recomputed: list[float], fraction: float, leaves: LeafVersions
) -> AdjointStages | None:
    leaves.check()
    stages = T.stages(x)
    if stages is not None:
        recomputed.append(fraction)
    return stages
