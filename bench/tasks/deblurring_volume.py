"""Deblurring of volumes: a circular convolution, diagonal in the Fourier basis, and Gaussian noise."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from deepinv.physics import DecomposablePhysics
from torch import Tensor

from ..operators import Prior
from ..operators.volume_blur import VolumeBlur
from ..penalties import huber
from ..penalties.wavelets import times
from ..utils.arguments import noise_level, up_to, whole
from ..utils.errors import UserError
from .base import Task, task_label

REACH = 3
"""Standard deviations after which the Gaussian is cut off."""


@dataclass(frozen=True, slots=True)
class BlurOfVolumes:
    """A Gaussian of ``sigma`` voxels, and straight motion over ``motion`` voxels of the first axis."""

    sigma: float
    motion: int

    def __call__(
        self, shape: tuple[int, ...], rng: torch.Generator, dtype: torch.dtype, device: torch.device
    ) -> DecomposablePhysics:
        """The blur for volumes of ``shape`` ``(C, D, H, W)``. Raises ``UserError`` if they are smaller than it."""
        kernel = self.kernel()
        if any(side > least for side, least in zip(kernel.shape, shape[1:], strict=True)):
            raise UserError(
                f"volumes of {times(shape[1:])} are smaller than the blur kernel of {times(tuple(kernel.shape))}: "
                "use larger crops"
            )
        # Made in its final dtype: a cast of the module drops the phase of its spectrum.
        return VolumeBlur(shape, kernel[None, None].to(device, dtype))

    def kernel(self) -> Tensor:
        """``(d, h, w)`` float64 of unit sum: the product of one kernel an axis."""
        reach = math.ceil(REACH * self.sigma)
        gauss = torch.exp(
            -torch.arange(-reach, reach + 1, dtype=torch.float64).square() / (2 * self.sigma**2)
        )
        gauss = gauss / gauss.sum()
        box = torch.full((1, 1, self.motion), 1 / self.motion, dtype=torch.float64)
        first = torch.nn.functional.conv1d(gauss[None, None], box, padding=self.motion - 1)[0, 0]
        return first[:, None, None] * gauss[:, None] * gauss


def deblurring_volume(
    prior: Prior = huber(),  # noqa: B008
    noise: float = 0.02,
    blur: float = 1.5,
    motion: int = 1,
) -> Task:
    """Grey volumes, a Gaussian blur.

    Args:
        prior: a penalty.
        noise: standard deviation, in (0, 1].
        blur: standard deviation of the Gaussian in voxels, in (0, 10].
        motion: voxels of straight motion along the first axis, from 1, for none, to 64.
    """
    physics = BlurOfVolumes(up_to("blur", blur, 10, " voxels"), whole("motion", motion, 1, 64))
    label = task_label("deblurring_volume", prior, noise=(noise, 0.02), blur=(blur, 1.5), motion=(motion, 1))
    return Task(label, physics, (noise_level("noise", noise),), prior, 1.0, axes=3)
