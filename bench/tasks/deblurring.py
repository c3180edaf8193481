"""Deblurring: a circular convolution, diagonal in the Fourier basis, and Gaussian noise."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from deepinv.physics import BlurFFT, DecomposablePhysics
from deepinv.physics.functional import gaussian_blur

from ..operators import Prior
from ..penalties import huber
from ..utils.errors import UserError
from .arguments import label, noise_level
from .base import Task


@dataclass(frozen=True, slots=True)
class GaussianBlur:
    """An isotropic Gaussian kernel of standard deviation ``sigma`` pixels, unit sum."""

    sigma: float

    def __call__(
        self, shape: tuple[int, int, int], rng: torch.Generator, dtype: torch.dtype, device: torch.device
    ) -> DecomposablePhysics:
        """The blur for images of ``shape``."""
        return _blur(gaussian_blur(sigma=(self.sigma, self.sigma)), shape, dtype, device)


@dataclass(frozen=True, slots=True)
class MotionBlur:
    """Straight motion over ``length`` pixels: horizontal, vertical and diagonal, one a channel."""

    length: int

    def __call__(
        self, shape: tuple[int, int, int], rng: torch.Generator, dtype: torch.dtype, device: torch.device
    ) -> DecomposablePhysics:
        """The blur for images of ``shape``, whose three channels move in three directions."""
        n = self.length
        kernels = torch.zeros(1, 3, n, n, dtype=torch.float64)
        kernels[0, 0, n // 2, :] = 1 / n
        kernels[0, 1, :, n // 2] = 1 / n
        kernels[0, 2].fill_diagonal_(1 / n)
        return _blur(kernels, shape, dtype, device)


def _blur(
    kernel: torch.Tensor, shape: tuple[int, int, int], dtype: torch.dtype, device: torch.device
) -> DecomposablePhysics:
    if max(kernel.shape[-2:]) > min(shape[1:]):
        raise UserError(
            f"images of {shape[1]}×{shape[2]} are smaller than the blur kernel of "
            f"{kernel.shape[-2]}×{kernel.shape[-1]}: use larger crops"
        )
    # In its final dtype from the start: casting the module later drops the phase of its spectrum.
    return BlurFFT(img_size=shape, filter=kernel.to(device, dtype), device=device)


def deblurring(prior: Prior = huber(), noise: float = 0.02, blur: float = 1.5) -> Task:  # noqa: B008
    """Grey images, a Gaussian blur.

    Args:
        prior: what is learned: a penalty or a denoiser.
        noise: standard deviation, in (0, 1].
        blur: standard deviation of the kernel in pixels, in (0, 10].
    """
    if isinstance(blur, bool) or not 0 < blur <= 10:
        raise UserError(f"blur must lie in (0, 10] pixels, not {blur!r}")
    text = label("deblurring", prior, noise=(noise, 0.02), blur=(blur, 1.5))
    return Task(text, GaussianBlur(float(blur)), (noise_level(noise),), prior, 1.0)


def deblurring_colour(prior: Prior = huber(), noise: float = 0.05) -> Task:  # noqa: B008
    """Colour images, 25 pixels of horizontal, vertical and diagonal motion in red, green and blue.

    Args:
        prior: what is learned: a penalty or a denoiser.
        noise: standard deviation in every channel; 0.05 and 0.1 in arXiv 2506.13239.
    """
    text = label("deblurring_colour", prior, noise=(noise, 0.05))
    return Task(text, MotionBlur(25), (noise_level(noise),) * 3, prior, 1.0)
