"""The normal operator ``AᵀA`` of a physics: by its singular values if they are known, otherwise by its methods."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias, cast

import torch
from deepinv.physics import MRI, BlurFFT, Demosaicing, Denoising, Downsampling, Inpainting, LinearPhysics
from deepinv.physics.functional import filter_fft
from torch import Tensor

from .aliased_normal import AliasedNormal, aliased_or_none
from .composed_normal import ComposedNormal
from .linear_autograd import Linear, tracked, transformed
from .masked_fourier_normal import MaskedFourierNormal, samples_complex
from .volume_blur import VolumeBlur

ULPS = 16 * torch.finfo(torch.float64).eps
"""Outward rounding of a spectrum, relative to its largest value; the Fourier transform of a kernel rounds off less."""


def normal_operator(physics: LinearPhysics) -> Linear:
    """``AᵀA`` of a physics with its present parameters, on ``(..., C, H, W)``.

    The spectrum is computed once, here. A blur then takes one pair of Fourier transforms an application; A followed
    by its adjoint takes two pairs.
    """
    # Not isinstance: a subclass may be another map.
    if (type(physics) is BlurFFT or type(physics) is VolumeBlur) and isinstance(physics.mask, Tensor):
        size = cast(tuple[int, ...], tuple(physics.img_size))
        kernel = physics.filter if isinstance(physics.filter, Tensor) else None
        return FourierNormal(physics.mask.square(), size, physics.mask, cast(Tensor, physics.angle), kernel)
    if type(physics) in (Inpainting, Demosaicing, Denoising) and isinstance(physics.mask, Tensor):
        return DiagonalNormal(physics.mask.square(), physics.mask)
    if type(physics) is MRI and isinstance(physics.mask, Tensor) and samples_complex(physics):
        return MaskedFourierNormal(physics.mask.square(), physics.mask)
    if type(physics) is Downsampling and (aliased := aliased_or_none(physics)) is not None:
        return aliased
    return ComposedNormal(physics)


@dataclass(frozen=True, slots=True, eq=False)
class FourierNormal:
    """A circular convolution, diagonal in the Fourier basis.

    Attributes:
        power: ``|K|²`` with K the transform of the kernel, ``(1 or B, C, H, W/2 + 1, 2)``, or of a kernel of volumes,
            ``(1, 1, D, H, W/2 + 1, 2)``. Each value stands twice, so
            that the real and the imaginary part of a spectrum are multiplied in place, as one real tensor.
        shape: ``(C, H, W)`` or ``(C, D, H, W)``.
        mask, angle: ``|K|``, each value twice, and ``K/|K|``.
        kernel: the kernel, if the physics has one.
    """

    power: Tensor
    shape: tuple[int, ...]
    mask: Tensor
    angle: Tensor
    kernel: Tensor | None

    def __call__(self, x: Tensor) -> Tensor:
        """``AᵀA x`` for images ``(..., C, H, W)`` or volumes ``(..., C, D, H, W)``."""
        spectrum = torch.fft.rfftn(x, dim=self._axes())
        if tracked(self.power):
            spectrum = torch.view_as_complex(torch.view_as_real(spectrum) * self.power)
        else:
            torch.view_as_real(spectrum).mul_(self.power)
        return self._back(spectrum)

    def adjoint(self, y: Tensor) -> Tensor:
        """``Aᵀy``."""
        spectrum, K = torch.fft.rfftn(y, dim=self._axes()), self._transform()
        if K is None:
            parts = torch.view_as_real(spectrum * self.angle.conj())
            return self._back(torch.view_as_complex(parts * self.mask))
        return self._back(spectrum * K.conj())

    def _axes(self) -> tuple[int, ...]:
        return tuple(range(1 - len(self.shape), 0))

    def _back(self, spectrum: Tensor) -> Tensor:
        return torch.fft.irfftn(spectrum, s=self.shape[1:], dim=self._axes())

    def _transform(self) -> Tensor | None:
        """K, unless the singular values of the physics were replaced and are no longer those of its kernel."""
        if self.kernel is None or (tracked(self.mask, self.angle) and not tracked(self.kernel)):
            return None
        K = cast(Tensor, filter_fft(self.kernel, self.shape, dims=self._axes()))
        return K if transformed(K, self.mask) or _agree(K.abs(), self.mask[..., 0]) else None

    def stale(self) -> bool:
        """Whether the kernel is differentiated, but the singular values are no longer its own."""
        return tracked(self.kernel) and self._transform() is None

    def requires_grad(self) -> bool:
        """Whether the kernel or its transform is differentiated."""
        return tracked(self.mask, self.angle, self.kernel)

    def differentiable(self) -> FourierNormal:
        """The same operator, recomputed by recorded operations, so that a tape leads to the kernel."""
        K = self._transform()
        return replace(self, power=self.mask.square() if K is None else _power(K))

    def eigenvalues(self) -> Tensor:
        """All eigenvalues of ``AᵀA``, flat and in float64, as often as they occur."""
        power = self.in_float64().power[..., 0]
        inner = power[..., 1 : (self.shape[-1] + 1) // 2]  # the columns whose conjugates the half leaves out
        return torch.cat((power.flatten(), inner.flatten()))

    def resolvent(self, step: float | Tensor, shift: float, dtype: torch.dtype) -> FourierNormal:
        """``(κ + γ AᵀA)⁻¹`` for a step γ and a shift κ, as an operator of the same kind, computed in ``dtype``."""
        return replace(self, power=torch.mul(self.power.to(dtype), step).add_(shift).reciprocal_())

    def in_float64(self) -> FourierNormal:
        """The same operator in float64, from the same kernel if there is one."""
        mask, angle = self.mask.detach().double(), self.angle.detach().to(torch.complex128)
        if self.kernel is not None:
            kernel = self.kernel.detach().double()
            K = cast(Tensor, filter_fft(kernel, self.shape, dims=self._axes()))
            if _agree(K.abs().to(self.mask.dtype), self.mask[..., 0].detach()):
                return FourierNormal(_power(K), self.shape, _twice(K.abs()), K.sgn(), kernel)
        return FourierNormal(mask.square(), self.shape, mask, angle, None)

    def select(self, index: Tensor, batch: int) -> FourierNormal:
        """The operator for the samples at ``index``, if each of the ``batch`` samples has its own kernel."""
        if not batch == len(self.mask) > 1:
            return self
        kernel = None if self.kernel is None else self.kernel[index]
        return FourierNormal(self.power[index], self.shape, self.mask[index], self.angle[index], kernel)


@dataclass(frozen=True, slots=True, eq=False)
class DiagonalNormal:
    """One factor for each pixel.

    Attributes:
        power: the square of the mask.
        mask: A itself; it broadcasts with images.
    """

    power: Tensor
    mask: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """``AᵀA x`` for images ``(..., C, H, W)``."""
        return self.power * x

    def adjoint(self, y: Tensor) -> Tensor:
        """``Aᵀy``."""
        return self.mask * y

    def requires_grad(self) -> bool:
        """Whether the mask is differentiated."""
        return tracked(self.mask)

    def differentiable(self) -> DiagonalNormal:
        """The same operator, recomputed by recorded operations, so that a tape leads to the mask."""
        return DiagonalNormal(self.mask.square(), self.mask)

    def eigenvalues(self) -> Tensor:
        """All eigenvalues of ``AᵀA``, flat and in float64."""
        return self.in_float64().power.flatten()

    def resolvent(self, step: float | Tensor, shift: float, dtype: torch.dtype) -> DiagonalNormal:
        """``(κ + γ AᵀA)⁻¹`` for a step γ and a shift κ, as an operator of the same kind, computed in ``dtype``."""
        return replace(self, power=torch.mul(self.power.to(dtype), step).add_(shift).reciprocal_())

    def in_float64(self) -> DiagonalNormal:
        """The same operator in float64, from the same mask."""
        mask = self.mask.detach().double()
        return DiagonalNormal(mask.square(), mask)

    def select(self, index: Tensor, batch: int) -> DiagonalNormal:
        """The operator for the samples at ``index``, if each of the ``batch`` samples has its own mask."""
        if self.mask.ndim < 4 or not batch == len(self.mask) > 1:
            return self
        return DiagonalNormal(self.power[index], self.mask[index])


WithPower: TypeAlias = FourierNormal | DiagonalNormal | MaskedFourierNormal
"""Those with a power at each frequency or pixel."""
SpectralNormal: TypeAlias = WithPower | AliasedNormal
"""Normal operators with known singular values."""


def spectrum_bounds(N: SpectralNormal) -> tuple[float, float]:
    """Smallest and largest eigenvalue in exact arithmetic, from the kernel or mask; rounded outward."""
    values = N.in_float64().power if isinstance(N, WithPower) else N.eigenvalues()
    least, largest = float(values.min()), float(values.max())
    return max(0.0, least - ULPS * largest), largest * (1 + ULPS)


def _power(K: Tensor) -> Tensor:
    return _twice(torch.view_as_real(K).square().sum(-1))


def _twice(values: Tensor) -> Tensor:
    return torch.stack((values, values), -1)


def _agree(a: Tensor, b: Tensor) -> bool:
    """Whether two spectra are equal up to rounding in the dtype of ``b``."""
    if a.shape[-3:] != b.shape[-3:]:
        return False
    difference = (a.detach() - b.detach()).abs().max()
    return bool(difference <= 64 * torch.finfo(b.dtype).eps * b.detach().abs().max())
