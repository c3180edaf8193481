"""Circular convolution of volumes, diagonal in the Fourier basis of three axes."""

from __future__ import annotations

import torch
from deepinv.physics import DecomposablePhysics
from deepinv.physics.functional import filter_fft
from torch import Tensor

AXES = (-3, -2, -1)


class VolumeBlur(DecomposablePhysics):
    """Circular convolution of volumes ``(B, C, D, H, W)`` with one kernel; deepinv's ``BlurFFT`` is of images.

    Its singular values are the moduli of the transform of the kernel: with a unitary transform F, ``A = F* K F``.

    Args:
        img_size: ``(C, D, H, W)``.
        filter: the kernel ``(1, 1, d, h, w)``, centred, no larger than a volume.

    Attributes:
        filter, img_size: as given.
        mask: ``|K|`` on the half of the frequencies that a real transform keeps, ``(1, 1, D, H, W/2 + 1, 2)``, each
            value twice: for the real and the imaginary part.
        angle: ``K/|K|``, complex ``(1, 1, D, H, W/2 + 1)``.
    """

    filter: Tensor
    angle: Tensor

    def __init__(self, img_size: tuple[int, ...], filter: Tensor) -> None:
        super().__init__(device=filter.device)
        self.img_size = img_size
        K = filter_fft(filter, img_size, dims=AXES)
        size = K.abs()
        self.register_buffer("filter", filter)
        self.register_buffer("angle", K.sgn())
        self.register_buffer("mask", torch.stack((size, size), -1))

    def V_adjoint(self, x: Tensor) -> Tensor:
        """F: volumes to the two parts of their transform, ``(B, C, D, H, W/2 + 1, 2)``."""
        return torch.view_as_real(torch.fft.rfftn(x, dim=AXES, norm="ortho"))

    def V(self, x: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        """F*."""
        return self._back(torch.view_as_complex(x))

    def U(self, x: Tensor) -> Tensor:
        """``F* K/|K|``."""
        return self._back(torch.view_as_complex(x) * self.angle)

    def U_adjoint(self, x: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Its adjoint."""
        return torch.view_as_real(torch.fft.rfftn(x, dim=AXES, norm="ortho") * self.angle.conj())

    def _back(self, spectrum: Tensor) -> Tensor:
        return torch.fft.irfftn(spectrum, s=self.img_size[1:], dim=AXES, norm="ortho")
