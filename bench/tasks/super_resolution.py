"""Super-resolution: a circular Gaussian filter, then every second or fourth pixel."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from deepinv.physics import Downsampling, LinearPhysics
from deepinv.physics.functional import gaussian_blur

from ..operators import Prior
from ..penalties import huber
from ..utils.arguments import noise_level
from ..utils.errors import UserError
from .base import Task, task_label

FACTORS = (2, 4)


@dataclass(frozen=True, slots=True)
class Decimation:
    """A Gaussian filter of standard deviation ``factor/2`` pixels, and every ``factor``-th pixel, times ``factor``.

    ``‖A‖`` is then close to 1, as in other tasks, and the same weights of a penalty suit them.
    """

    factor: int

    def __call__(
        self, shape: tuple[int, ...], rng: torch.Generator, dtype: torch.dtype, device: torch.device
    ) -> LinearPhysics:
        """The measurement of images of ``shape``; measurements are ``(C, H/s, W/s)``.

        Raises ``UserError`` for sides that s does not divide, or that are below those of the filter.
        """
        s, sides = self.factor, shape[1:]
        if any(side % s for side in sides):
            raise UserError(f"images of {sides[0]}×{sides[1]} cannot be reduced by {s}: use multiples of {s}")
        kernel = gaussian_blur(sigma=(s / 2, s / 2)).double()
        if max(kernel.shape[-2:]) > min(sides):
            raise UserError(
                f"images of {sides[0]}×{sides[1]} are smaller than the filter of {kernel.shape[-1]}"
            )
        kernel = (s * kernel / kernel.sum()).to(device, dtype)
        return Downsampling(img_size=shape, filter=kernel, factor=s, padding="circular", device=device)


def super_resolution(prior: Prior = huber(), factor: int = 2, noise: float = 0.02) -> Task:  # noqa: B008
    """Grey images, smaller by a factor.

    Args:
        prior: a penalty or a denoiser.
        factor: 2 or 4.
        noise: standard deviation on the small image, in units of its peak, in (0, 1].
    """
    if factor not in FACTORS or isinstance(factor, bool):
        raise UserError(f"factor must be 2 or 4, not {factor!r}")
    label = task_label("super_resolution", prior, factor=(factor, 2), noise=(noise, 0.02))
    return Task(label, Decimation(int(factor)), (factor * noise_level("noise", noise),), prior, None)
