"""Weighted, mixed norms of wavelet coefficients, with their exact proximity operators."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from .groups import Groups
from .shrinkage import Shrinkage
from .wavelets import Wavelets


class WeightedPenalty(Shrinkage):
    """``g(x) = Σ_g ω_g h_δ(‖(Wx)_g‖) + ε/2 ‖x − ½‖²``: learnable weights by channel, scale and orientation.

    W are orthonormal wavelets; for ``h_δ`` and the approximation see ``Shrinkage``. Without groups, ‖·‖ is the absolute
    value. The ridge pulls towards mid-grey and makes g ε-strongly convex.

    The weights in weighted norms of arXiv 2506.13239, section on learned weights; the prox is exact
    because W is orthonormal and g separable in groups of its coefficients.

    Args:
        wavelets: the transform W.
        weights: initial ``ω``, positive, ``groups.weights(C, levels)``; ``(C, levels, 3)`` without groups.
        smoothing: δ ≥ 0.
        ridge: ε ≥ 0.
        groups: what shares a norm.
    """

    def __init__(
        self,
        wavelets: Wavelets,
        weights: Tensor,
        smoothing: float,
        ridge: float,
        groups: Groups | None = None,
    ) -> None:
        super().__init__(wavelets.bands, weights, smoothing, ridge, groups or Groups())
        self.wavelets = wavelets

    def prox(self, z: Tensor, step: Tensor) -> Tensor:
        """``argmin_x g(x) + ‖x − z‖²/(2τ)``: firmly nonexpansive, and a ``1/(1+τε)`` contraction.

        Args:
            z: images ``(B, C, H, W)``.
            step: τ > 0, a scalar tensor.
        """
        return self.wavelets.synthesise(self.shrink(self.argument(z, step), step))

    def transforms(self) -> list[Wavelets]:
        """W."""
        return [self.wavelets]

    def renew(self, transforms: Sequence[Wavelets]) -> None:
        """Take the same W in another dtype."""
        (self.wavelets,) = transforms

    def analyse(self, state: Tensor) -> Tensor:
        """``W x``."""
        return self.wavelets.analyse(state)

    def argument(self, z: Tensor, step: Tensor) -> Tensor:
        """``W (z + τε/2)``."""
        return self.wavelets.analyse(z + step * self.ridge * 0.5 if self.ridge else z)

    def energy(self, x: Tensor) -> Tensor:
        """``g(x)`` of each image, ``(B,)``: what ``prox`` is the proximity operator of (used by the tests)."""
        ridge = self.ridge / 2 * (x - 0.5).square().flatten(1).sum(1)
        return self.cost(self.wavelets.analyse(x)) + ridge
