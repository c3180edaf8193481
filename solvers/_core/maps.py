"""The types of a map, of a loss, and of a map that can leave samples out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias, runtime_checkable

from torch import Tensor

Map: TypeAlias = Callable[[Tensor], Tensor]
"""``x -> T(x)``, with the shape, dtype and device of ``x`` kept.

Dimension 0 of an ``x`` with two or more dimensions is the batch; samples of a batch must not
interact. A one-dimensional ``x`` is a single sample.
"""


Loss: TypeAlias = Callable[[Tensor], Tensor]
"""``x -> ℓ(x)``, a scalar of the equilibrium; it may depend on the parameters too."""


@runtime_checkable
class SupportsSelect(Protocol):
    """A map that can leave samples out: a solver then spends nothing on those that have converged.

    A map without it is applied to the whole batch until the last sample has converged.
    """

    def __call__(self, x: Tensor, /) -> Tensor: ...

    def select(self, index: Tensor, /) -> Map:
        """The map of the samples at ``index`` (int64) alone."""
        ...
