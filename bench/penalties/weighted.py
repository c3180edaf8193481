"""Weighted, mixed norms of wavelet coefficients, with their exact proximity operators."""

from __future__ import annotations

from torch import Tensor

from .groups import Groups
from .shrinkage import Shrinkage
from .wavelets import Wavelets


class WeightedPenalty(Shrinkage):
    """``g(x) = Σ_g ω_g h_δ(‖(Wx)_g‖) + ε/2 ‖x − ½‖²`` with orthonormal wavelets W; see ``Shrinkage`` for ``h_δ``.

    The learned weights are those of the weighted norms of arXiv 2506.13239. The prox is exact because W is orthonormal
    and g separable in groups of coefficients. The ridge makes g ε-strongly convex; its centre is mid-grey.
    """

    def __init__(
        self,
        wavelets: Wavelets,
        weights: Tensor,
        smoothing: float,
        ridge: float,
        groups: Groups | None = None,
    ) -> None:
        super().__init__([wavelets], weights, smoothing, ridge, groups or Groups())

    def prox(self, z: Tensor, step: Tensor) -> Tensor:
        """``argmin_x g(x) + ‖x − z‖²/(2τ)`` for images ``z``: firmly nonexpansive, and a ``1/(1+τε)`` contraction."""
        return self.wavelets.synthesise(self.shrink(self.argument(z, step), step))

    def analyse(self, state: Tensor) -> Tensor:
        """``W x``."""
        return self.wavelets.analyse(state)

    def argument(self, z: Tensor, step: Tensor) -> Tensor:
        """``W (z + τε/2)``."""
        return self.wavelets.analyse(z + step * self.ridge * 0.5 if self.ridge else z)
