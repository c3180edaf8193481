"""Photon counts of a blurred image: Poisson noise, and its weighted least squares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from deepinv.physics import BlurFFT, LinearPhysics
from torch import Tensor

from ..spectra import Basis, Spectrum
from ..spectra.enclosure import in_float64
from ..utils.errors import UserError
from .composed_normal import TRANSFORM
from .linear_autograd import tracked


class CountedBlur(LinearPhysics):
    """A blur whose pixels count photons: ``y = Poisson(p · h*x) / p`` with p photons at the peak.

    The Poisson likelihood is approximated by its second-order expansion at the measured counts,
    ``½ Σ w (h*x − y)²`` with ``w = 1/max(p y, 1)``: the variance of a count is estimated by the count itself, and that
    of none by one. It is the negative log-likelihood times ``1/p²``, so that no weight exceeds 1.

    Args:
        blur: ``h*``.
        photons: p > 0.
    """

    def __init__(self, blur: BlurFFT, photons: float) -> None:
        super().__init__()
        self.blur, self.photons = blur, photons
        self.to(cast(Tensor, blur.mask).device)

    def A(self, x: Tensor, **kwargs: object) -> Tensor:
        """``h*x`` for images ``(B, C, H, W)``."""
        return cast(Tensor, self.blur.A(x))

    def A_adjoint(self, y: Tensor, **kwargs: object) -> Tensor:
        """The adjoint, without weights."""
        return cast(Tensor, self.blur.A_adjoint(y))

    def draw(self, clean: Tensor, rng: torch.Generator) -> Tensor:
        """Counts over p, for ``h*x``; rounding below 0 counts as 0."""
        return torch.poisson(self.photons * clean.clamp_min(0), generator=rng) / self.photons

    def weights(self, y: Tensor) -> Tensor:
        """w, in (0, 1], of the shape of y. Raises ``UserError`` for counts below 0 or not finite."""
        if not bool((y >= 0).all()) or not bool(y.isfinite().all()):
            raise UserError(f"counts must be finite and not negative, and the least is {float(y.min()):.3g}")
        return 1 / (self.photons * y).clamp_min(1)

    def spectrum(self, shape: tuple[int, ...]) -> Spectrum:
        """Bounds for all counts: no weight exceeds 1."""
        return Spectrum(0.0, _extremes(self.blur)[1], Basis.PROVEN)


@dataclass(frozen=True, slots=True, eq=False)
class WeightedNormal:
    """``AᵀWA`` of a counted blur.

    Attributes:
        physics: the blur.
        weights: the diagonal of W, ``(B, C, H, W)``, in (0, 1].
    """

    physics: CountedBlur
    weights: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """``AᵀWA x`` for images ``(B, C, H, W)``."""
        return self.adjoint(self.physics.A(x))

    def adjoint(self, y: Tensor) -> Tensor:
        """``AᵀWy``."""
        return self.physics.A_adjoint(self.weights * y)

    def requires_grad(self) -> bool:
        """Whether a parameter of A is differentiated, or W by the measurements."""
        return tracked(self.weights, *self.physics.parameters(), *self.physics.buffers())

    def spectrum(self) -> Spectrum:
        """Products of the extremes of W and of ``AᵀA``."""
        least, largest = _extremes(self.physics.blur)
        w = self.weights.detach().double()
        return Spectrum(float(w.min()) * least, float(w.max()) * largest, Basis.PROVEN)

    def rounding(self) -> float:
        """Units of float64 rounding of an application: two pairs of transforms."""
        return 2 * TRANSFORM * torch.tensor(2.0 * self.weights[0].numel()).log2().item() + 4

    def in_float64(self) -> WeightedNormal:
        """The same operator in float64, from the same numbers."""
        physics = self.physics
        if any(t.dtype in (torch.float32, torch.complex64) for t in physics.buffers()):
            physics = cast(CountedBlur, in_float64(physics).to(self.weights.device))
        return WeightedNormal(physics, self.weights.detach().double())

    def select(self, index: Tensor, batch: int) -> WeightedNormal:
        """The operator for the samples at ``index``."""
        return WeightedNormal(self.physics, self.weights[index])


def _extremes(blur: BlurFFT) -> tuple[float, float]:
    """Smallest and largest eigenvalue of ``AᵀA`` of a blur, from its singular values, rounded outward."""
    power = cast(Tensor, blur.mask).detach().double().square()
    slack = 64 * torch.finfo(torch.float64).eps * float(power.max())
    return max(0.0, float(power.min()) - slack), float(power.max()) + slack
