"""``AᵀA`` of magnetic resonance imaging with one coil: a mask in the Fourier basis of complex images."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .linear_autograd import tracked


@dataclass(frozen=True, slots=True, eq=False)
class MaskedFourierNormal:
    """``F* M² F`` on images whose two channels are the real and the imaginary part.

    Attributes:
        power: ``M²``, ``(1 or B, 2, H, W)``, with the lowest frequency in the middle, as deepinv has it.
        mask: M, of the same shape, the same for both parts.
    """

    power: Tensor
    mask: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """``AᵀA x`` for images ``(..., 2, H, W)``."""
        # The image may stay as it is shifted: only its transform meets the mask.
        spectrum = torch.fft.fft2(_complex(x)) * torch.fft.ifftshift(self.power[:, 0], (-2, -1))
        return _parts(torch.fft.ifft2(spectrum))

    def adjoint(self, y: Tensor) -> Tensor:
        """``Aᵀy`` for measurements ``(..., 2, H, W)``."""
        spectrum = torch.fft.ifftshift(_complex(self.mask * y), (-2, -1))
        return _parts(torch.fft.fftshift(torch.fft.ifft2(spectrum, norm="ortho"), (-2, -1)))

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


def same_for_both_parts(mask: Tensor) -> bool:
    """Whether a mask ``(1 or B, 2, H, W)`` treats real and imaginary parts alike, as it must to be a sampling of F."""
    return mask.ndim == 4 and mask.shape[1] == 2 and torch.equal(mask[:, 0], mask[:, 1])


def _complex(x: Tensor) -> Tensor:
    """Channels ``(..., 2, H, W)`` to complex images ``(..., H, W)``."""
    return torch.complex(x[..., 0, :, :], x[..., 1, :, :])


def _parts(z: Tensor) -> Tensor:
    """Complex images ``(..., H, W)`` to channels ``(..., 2, H, W)``."""
    return torch.stack((z.real, z.imag), -3)
