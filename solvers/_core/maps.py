"""Types of a map and of a loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

from torch import Tensor

Map: TypeAlias = Callable[[Tensor], Tensor]
"""``x -> T(x)``, of the shape, dtype and device of ``x``.

Dimension 0 of an ``x`` with two or more dimensions is the batch, whose samples must not interact. A one-dimensional
``x`` is a single sample.
"""


Loss: TypeAlias = Callable[[Tensor], Tensor]
"""``x -> ℓ(x)``, a scalar function of the equilibrium, which may depend on the parameters as well."""


@runtime_checkable
class SupportsSelect(Protocol):
    """A map that can be restricted to some samples: solvers then skip samples that have converged.

    Any other map is applied to the whole batch until the last sample has converged.
    """

    def __call__(self, x: Tensor, /) -> Tensor: ...

    def select(self, index: Tensor, /) -> Map:
        """Return the map of the samples at ``index`` (int64) alone."""
        ...


@dataclass(frozen=True, slots=True)
class AdjointStages:
    """The adjoint of a derivative in two symmetric stages, ``Jᵀu = shift · u + outer(inner(u))``.

    A forward–backward step has the derivative of its prox as the inner stage, and that of its gradient step as the
    outer one; Douglas–Rachford has those of its two reflections. Then ``I − Jᵀ`` is its own adjoint in the inner
    product ``⟨inner(·), ·⟩``. One call of each stage is the work of one product.

    Attributes:
        inner, outer: linear and symmetric, of the shape and dtype of ``u``.
        shift: a number.
        definite: whether ``inner`` has no negative eigenvalue, and ``I − Jᵀ`` none in that inner product.
    """

    inner: Map
    outer: Map
    shift: float = 0.0
    definite: bool = True


@runtime_checkable
class SupportsStages(Protocol):
    """A map whose derivative is known in stages, for ``prox_cg``."""

    def __call__(self, x: Tensor, /) -> Tensor: ...

    def stages(self, x: Tensor, /) -> AdjointStages | None:
        """Return the stages at ``x``, for at most the work of one application; ``None`` if there are none."""
        ...
