"""Deblurring: a circular convolution, diagonal in the Fourier basis, and Gaussian noise."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from deepinv.physics import BlurFFT, DecomposablePhysics
from deepinv.physics.functional import gaussian_blur

from ..operators import Prior
from ..penalties import huber
from ..utils.arguments import noise_level, up_to
from ..utils.errors import UserError
from .base import Task, task_label


@dataclass(frozen=True, slots=True)
class GaussianBlur:
    """Blur by an isotropic Gaussian kernel with standard deviation ``sigma`` in pixels and unit sum."""

    sigma: float

    def __call__(
        self, shape: tuple[int, ...], rng: torch.Generator, dtype: torch.dtype, device: torch.device
    ) -> DecomposablePhysics:
        """The blur for images of ``shape``."""
        return circular_blur(gaussian_blur(sigma=(self.sigma, self.sigma)), shape, dtype, device)


@dataclass(frozen=True, slots=True)
class MotionBlur:
    """Straight motion over ``length`` pixels: horizontal in red, vertical in green, diagonal in blue."""

    length: int

    def __call__(
        self, shape: tuple[int, ...], rng: torch.Generator, dtype: torch.dtype, device: torch.device
    ) -> DecomposablePhysics:
        """The blur for colour images of ``shape``."""
        n = self.length
        kernels = torch.zeros(1, 3, n, n, dtype=torch.float64)
        kernels[0, 0, n // 2, :] = 1 / n
        kernels[0, 1, :, n // 2] = 1 / n
        kernels[0, 2].fill_diagonal_(1 / n)
        return circular_blur(kernels, shape, dtype, device)


def circular_blur(
    kernel: torch.Tensor, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device
) -> DecomposablePhysics:
    """Circular convolution with ``kernel`` ``(1, 1 or C, h, w)``. Raises ``UserError`` if the images are smaller."""
    if max(kernel.shape[-2:]) > min(shape[1:]):
        raise UserError(
            f"images of {shape[1]}×{shape[2]} are smaller than the blur kernel of "
            f"{kernel.shape[-2]}×{kernel.shape[-1]}: use larger crops"
        )
    # Made in its final dtype: a cast of the module drops the phase of its spectrum.
    return BlurFFT(img_size=shape, filter=kernel.to(device, dtype), device=device)


def deblurring(prior: Prior = huber(), noise: float = 0.02, blur: float = 1.5) -> Task:  # noqa: B008
    """Grey images, a Gaussian blur.

    Args:
        prior: a penalty or a denoiser.
        noise: standard deviation, in (0, 1].
        blur: standard deviation of the kernel in pixels, in (0, 10].
    """
    physics = GaussianBlur(up_to("blur", blur, 10, " pixels"))
    label = task_label("deblurring", prior, noise=(noise, 0.02), blur=(blur, 1.5))
    return Task(label, physics, (noise_level("noise", noise),), prior, 1.0)


def deblurring_colour(prior: Prior = huber(), noise: float = 0.05) -> Task:  # noqa: B008
    """Colour images, 25 pixels of horizontal, vertical and diagonal motion in red, green and blue.

    ``noise`` is the standard deviation in every channel; 0.05 and 0.1 in arXiv 2506.13239.
    """
    label = task_label("deblurring_colour", prior, noise=(noise, 0.05))
    return Task(label, MotionBlur(25), (noise_level("noise", noise),) * 3, prior, 1.0)
