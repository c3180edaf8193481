"""``AᵀA`` of magnetic resonance imaging with one coil: a mask in the Fourier basis of complex images."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import torch
from deepinv.physics import MRI
from torch import Tensor

from .linear_autograd import tracked


@dataclass(frozen=True, slots=True, eq=False)
class MaskedFourierNormal:
    """``F* M² F`` on images or volumes whose two channels are the real and the imaginary part.

    Attributes:
        power: ``M²``, ``(1 or B, 2, H, W)`` or ``(1 or B, 2, D, H, W)``, with the lowest frequency in the middle, as
            deepinv has it.
        mask: M, of the same shape, the same for both parts.
    """

    power: Tensor
    mask: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """``AᵀA x`` for images ``(..., 2, H, W)`` or volumes ``(..., 2, D, H, W)``."""
        axes = self._axes()
        # The image may stay as it is shifted: only its transform meets the mask.
        spectrum = torch.fft.fftn(_complex(x, axes), dim=axes) * torch.fft.ifftshift(self.power[:, 0], axes)
        return _parts(torch.fft.ifftn(spectrum, dim=axes), axes)

    def adjoint(self, y: Tensor) -> Tensor:
        """``Aᵀy`` for measurements ``(..., 2, H, W)``."""
        axes = self._axes()
        spectrum = torch.fft.ifftshift(_complex(self.mask * y, axes), axes)
        return _parts(torch.fft.fftshift(torch.fft.ifftn(spectrum, dim=axes, norm="ortho"), axes), axes)

    def _axes(self) -> tuple[int, ...]:
        return tuple(range(2 - self.power.ndim, 0))

    def requires_grad(self) -> bool:
        """Whether the mask is differentiated."""
        return tracked(self.mask)

    def differentiable(self) -> MaskedFourierNormal:
        """The same operator, recomputed by recorded operations, so that a tape leads to the mask."""
        return MaskedFourierNormal(self.mask.square(), self.mask)

    def eigenvalues(self) -> Tensor:
        """All eigenvalues of ``AᵀA``, flat and in float64."""
        return self.in_float64().power.flatten()

    def resolvent(self, step: float | Tensor, shift: float, dtype: torch.dtype) -> MaskedFourierNormal:
        """``(κ + γ AᵀA)⁻¹`` for a step γ and a shift κ, as an operator of the same kind, computed in ``dtype``."""
        return replace(self, power=torch.mul(self.power.to(dtype), step).add_(shift).reciprocal_())

    def in_float64(self) -> MaskedFourierNormal:
        """The same operator in float64, from the same mask."""
        mask = self.mask.detach().double()
        return MaskedFourierNormal(mask.square(), mask)

    def select(self, index: Tensor, batch: int) -> MaskedFourierNormal:
        """The operator for the samples at ``index``, if each of the ``batch`` samples has its own mask."""
        if not batch == len(self.mask) > 1:
            return self
        return MaskedFourierNormal(self.power[index], self.mask[index])


def samples_complex(physics: MRI) -> bool:
    """Whether the mask has the axes of F and treats real and imaginary parts alike, so that it samples F."""
    mask = cast(Tensor, physics.mask)
    axes = 5 if physics.three_d else 4
    return mask.ndim == axes and mask.shape[1] == 2 and torch.equal(mask[:, 0], mask[:, 1])


def _complex(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Channels ``(..., 2, *axes)`` to complex images ``(..., *axes)``."""
    channel = -1 - len(axes)
    return torch.complex(x.select(channel, 0), x.select(channel, 1))


def _parts(z: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Complex images ``(..., *axes)`` to channels ``(..., 2, *axes)``."""
    return torch.stack((z.real, z.imag), -1 - len(axes))
