"""Types of a map and of a loss."""

from __future__ import annotations

from collections.abc import Callable
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
