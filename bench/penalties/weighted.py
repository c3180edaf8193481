"""Weighted, mixed norms of wavelet coefficients, with their exact proximity operators."""

from __future__ import annotations

from torch import Tensor

from .groups import Groups
from .shrinkage import Shrinkage
from .wavelets import Wavelets


class WeightedPenalty(Shrinkage):
    """``g(x) = Σ_g ω_g h_δ(‖(Wx)_g‖) + ε/2 ‖x − ½‖²`` with learnable weights by channel, scale and orientation.

    W are orthonormal wavelets; see ``Shrinkage`` for ``h_δ`` and the approximation. The ridge makes g ε-strongly
    convex, with mid-grey as its centre.

    The weights of weighted norms are those of arXiv 2506.13239, section on learned weights. The prox is exact because W
    is orthonormal and g separable in groups of coefficients.

    Args:
        wavelets: the transform W.
        weights, smoothing, ridge: as for ``Shrinkage``.
        groups: coefficients that share a norm; by default each is alone.
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
        """``argmin_x g(x) + ‖x − z‖²/(2τ)``: firmly nonexpansive, and a ``1/(1+τε)`` contraction.

        Args:
            z: images ``(B, C, H, W)``.
            step: τ > 0, a scalar tensor.
        """
        return self.wavelets.synthesise(self.shrink(self.argument(z, step), step))

    def analyse(self, state: Tensor) -> Tensor:
        """``W x``."""
        return self.wavelets.analyse(state)

    def argument(self, z: Tensor, step: Tensor) -> Tensor:
        """``W (z + τε/2)``."""
        return self.wavelets.analyse(z + step * self.ridge * 0.5 if self.ridge else z)
