"""``AᵀA`` of a physics: from its singular values where they are known, otherwise by its own methods."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import torch
from deepinv.physics import BlurFFT, Denoising, Inpainting, LinearPhysics
from deepinv.physics.functional import filter_fft
from torch import Tensor

from .linear_autograd import Linear, tracked, wrapped

ULPS = 16 * torch.finfo(torch.float64).eps
"""What a spectrum is rounded outward by, relative to its largest value: the transforms of a kernel round off less."""


def normal(physics: LinearPhysics) -> Linear:
    """``AᵀA`` of a physics as it is now, on ``(..., C, H, W)``.

    What does not change from call to call is computed here. A blur then takes one pair of Fourier transforms, where A
    and its adjoint in turn take two.
    """
    # Not isinstance: a subclass may be another map.
    if type(physics) is BlurFFT and isinstance(physics.mask, Tensor):
        size = cast(tuple[int, ...], tuple(physics.img_size))
        kernel = physics.filter if isinstance(physics.filter, Tensor) else None
        return FourierNormal(physics.mask.square(), size, physics.mask, cast(Tensor, physics.angle), kernel)
    if type(physics) in (Inpainting, Denoising) and isinstance(physics.mask, Tensor):
        return DiagonalNormal(physics.mask.square(), physics.mask)
    return ComposedNormal(physics)


@dataclass(frozen=True, slots=True, eq=False)
class FourierNormal:
    """A circular convolution with the real spectrum ``power``, once for each part of a complex number.

    Attributes:
        power: ``|K|²``, twice each, ``(1 or B, C, H, W/2 + 1, 2)``, with K the transform of the kernel.
        shape: ``(C, H, W)``.
        mask, angle: ``|K|``, twice each, and ``K/|K|``.
        kernel: of which they were made, if any.
    """

    power: Tensor
    shape: tuple[int, ...]
    mask: Tensor
    angle: Tensor
    kernel: Tensor | None

    def __call__(self, x: Tensor) -> Tensor:
        """On ``(..., C, H, W)``."""
        spectrum = torch.fft.rfft2(x)
        if tracked(self.power):
            spectrum = torch.view_as_complex(torch.view_as_real(spectrum) * self.power)
        else:
            torch.view_as_real(spectrum).mul_(self.power)
        return torch.fft.irfft2(spectrum, s=self.shape[-2:])

    def adjoint(self, y: Tensor) -> Tensor:
        """``Aᵀy``."""
        spectrum, K = torch.fft.rfft2(y), self.transform()
        if K is None:
            parts = torch.view_as_real(spectrum * self.angle.conj())
            return torch.fft.irfft2(torch.view_as_complex(parts * self.mask), s=self.shape[-2:])
        return torch.fft.irfft2(spectrum * K.conj(), s=self.shape[-2:])

    def transform(self) -> Tensor | None:
        """K, if the singular values are still those of the kernel."""
        if self.kernel is None or (tracked(self.mask, self.angle) and not tracked(self.kernel)):
            return None
        K = cast(Tensor, filter_fft(self.kernel, self.shape, dims=(-2, -1)))
        return K if wrapped(K, self.mask) or _agree(K.abs(), self.mask[..., 0]) else None

    def learned(self) -> bool:
        """Whether somebody may ask for the derivative in the kernel, or in its transform."""
        return tracked(self.mask, self.angle, self.kernel)

    def fresh(self) -> FourierNormal:
        """The same, made anew of differentiable operations, so that a tape of its own leads to the kernel."""
        K = self.transform()
        return replace(self, power=self.mask.square() if K is None else _power(K))

    def exact(self) -> FourierNormal:
        """The same in float64, of the same kernel."""
        mask, angle = self.mask.detach().double(), self.angle.detach().to(torch.complex128)
        kernel = None if self.kernel is None else self.kernel.detach().double()
        if kernel is not None:
            K = cast(Tensor, filter_fft(kernel, self.shape, dims=(-2, -1)))
            if _agree(K.abs().to(self.mask.dtype), self.mask[..., 0].detach()):
                return FourierNormal(_power(K), self.shape, _pair(K.abs()), K.sgn(), kernel)
        return FourierNormal(mask.square(), self.shape, mask, angle, None)

    def spectrum(self) -> tuple[float, float]:
        """Bounds on the eigenvalues, of the same kernel in exact arithmetic."""
        return _outward(self.exact().power)

    def select(self, index: Tensor, batch: int) -> FourierNormal:
        """That of the samples at ``index``, where each of ``batch`` has a kernel of its own."""
        if not batch == len(self.mask) > 1:
            return self
        kernel = None if self.kernel is None else self.kernel[index]
        return FourierNormal(self.power[index], self.shape, self.mask[index], self.angle[index], kernel)


@dataclass(frozen=True, slots=True, eq=False)
class DiagonalNormal:
    """A factor for each pixel.

    Attributes:
        power: the square of the mask.
        mask: A itself; it broadcasts with images.
    """

    power: Tensor
    mask: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """On ``(..., C, H, W)``."""
        return self.power * x

    def adjoint(self, y: Tensor) -> Tensor:
        """``Aᵀy``."""
        return self.mask * y

    def learned(self) -> bool:
        """Whether somebody may ask for the derivative in the mask."""
        return tracked(self.mask)

    def fresh(self) -> DiagonalNormal:
        """The same, made anew of differentiable operations."""
        return DiagonalNormal(self.mask.square(), self.mask)

    def exact(self) -> DiagonalNormal:
        """The same in float64, of the same mask."""
        mask = self.mask.detach().double()
        return DiagonalNormal(mask.square(), mask)

    def spectrum(self) -> tuple[float, float]:
        """Bounds on the eigenvalues, of the same mask in exact arithmetic."""
        return _outward(self.exact().power)

    def select(self, index: Tensor, batch: int) -> DiagonalNormal:
        """That of the samples at ``index``, where each of ``batch`` has a mask of its own."""
        if self.mask.ndim < 4 or not batch == len(self.mask) > 1:
            return self
        return DiagonalNormal(self.power[index], self.mask[index])


@dataclass(frozen=True, slots=True, eq=False)
class ComposedNormal:
    """Any other physics, by its own methods."""

    physics: LinearPhysics

    def __call__(self, x: Tensor) -> Tensor:
        """On ``(..., C, H, W)``."""
        return self.physics.A_adjoint_A(x.reshape(-1, *x.shape[-3:])).view(x.shape)


def _power(K: Tensor) -> Tensor:
    return _pair(torch.view_as_real(K).square().sum(-1))


def _pair(values: Tensor) -> Tensor:
    return torch.stack((values, values), -1)


def _agree(found: Tensor, told: Tensor) -> bool:
    if found.shape[-3:] != told.shape[-3:]:
        return False
    gap = (found.detach() - told.detach()).abs().max()
    return bool(gap <= 64 * torch.finfo(told.dtype).eps * told.detach().abs().max())


def _outward(power: Tensor) -> tuple[float, float]:
    """The extremes, further apart by what they were rounded."""
    least, largest = float(power.min()), float(power.max())
    return max(0.0, least - ULPS * largest), largest * (1 + ULPS)
