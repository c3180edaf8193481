"""The data term ``½‖Ax − y‖²`` as an iteration needs it: through ``AᵀA`` and ``Aᵀy``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from deepinv.physics import BlurFFT, Denoising, Inpainting, LinearPhysics
from torch import Tensor

from .linear import Linear, linear


@dataclass(frozen=True, slots=True)
class DataTerm:
    """``½‖Ax − y‖²`` of each sample, by its gradient ``AᵀA x − Aᵀy``.

    Attributes:
        normal: ``AᵀA``, on ``(..., C, H, W)``.
        back: ``Aᵀy``, ``(B, C, H, W)``.
    """

    normal: Linear
    back: Tensor

    def descent(self, x: Tensor) -> Tensor:
        """``Aᵀ(y − Ax)``, minus the gradient in images ``x`` ``(B, C, H, W)``."""
        return self.back - linear(x, self.normal, self.normal)

    def spectrum(self) -> tuple[float, float] | None:
        """Smallest and largest eigenvalue of ``AᵀA``, exact; ``None`` where they are not read off."""
        return self.normal.spectrum() if isinstance(self.normal, Spectral | Diagonal) else None

    def pick(self, index: Tensor) -> DataTerm:
        """That of the samples at ``index`` alone."""
        return DataTerm(self.normal, self.back[index])


def data_term(y: Tensor, physics: LinearPhysics) -> DataTerm:
    """The data term of measurements ``y`` ``(B, C, H, W)``."""
    return DataTerm(normal(physics), physics.A_adjoint(y))


def normal(physics: LinearPhysics) -> Linear:
    """``AᵀA`` of a physics as it is now, on ``(..., C, H, W)``.

    What does not change from call to call is computed here. A blur then takes one pair of Fourier transforms, where A
    and its adjoint in turn take two.
    """
    # Not isinstance: a subclass may be another map.
    if type(physics) is BlurFFT:
        h, w = physics.img_size[-2:]
        return Spectral(cast(Tensor, physics.mask).square(), (h, w))
    if type(physics) in (Inpainting, Denoising):
        return Diagonal(cast(Tensor, physics.mask).square())
    return Composed(physics)


@dataclass(frozen=True, slots=True, eq=False)
class Spectral:
    """A circular convolution with the real spectrum ``power``, once for each part of a complex number."""

    power: Tensor
    size: tuple[int, int]

    def __call__(self, x: Tensor) -> Tensor:
        """On ``(..., C, H, W)``."""
        spectrum = torch.fft.rfft2(x)
        torch.view_as_real(spectrum).mul_(self.power)
        return torch.fft.irfft2(spectrum, s=self.size)

    def spectrum(self) -> tuple[float, float]:
        """The extreme eigenvalues."""
        return float(self.power.min()), float(self.power.max())


@dataclass(frozen=True, slots=True, eq=False)
class Diagonal:
    """A factor for each pixel."""

    power: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """On ``(..., C, H, W)``."""
        return self.power * x

    def spectrum(self) -> tuple[float, float]:
        """The extreme eigenvalues."""
        return float(self.power.min()), float(self.power.max())


@dataclass(frozen=True, slots=True, eq=False)
class Composed:
    """Any other physics, by its own methods."""

    physics: LinearPhysics

    def __call__(self, x: Tensor) -> Tensor:
        """On ``(..., C, H, W)``."""
        return self.physics.A_adjoint_A(x.reshape(-1, *x.shape[-3:])).view(x.shape)
