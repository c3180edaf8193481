"""Demosaicing: one colour a pixel, in Bayer's pattern."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from deepinv.physics import DecomposablePhysics, Demosaicing

from ..operators import Prior
from ..penalties import huber
from ..utils.arguments import noise_level
from ..utils.errors import UserError
from .base import Task, task_label


@dataclass(frozen=True, slots=True)
class Bayer:
    """Bayer's pattern: two green pixels in four, one red and one blue."""

    def __call__(
        self, shape: tuple[int, ...], rng: torch.Generator, dtype: torch.dtype, device: torch.device
    ) -> DecomposablePhysics:
        """The mask of colour images of ``shape``. Raises ``UserError`` for images of other than three channels."""
        if shape[0] != 3:
            raise UserError(f"demosaicing takes colour images, of 3 channels, not {shape[0]}")
        # Made in float32 by deepinv; its entries are 0 and 1.
        return Demosaicing(img_size=shape, device=device).to(dtype)  # pyright: ignore[reportArgumentType]


def demosaicing(prior: Prior = huber(), noise: float = 0.02) -> Task:  # noqa: B008
    """Colour images.

    Args:
        prior: a penalty or a denoiser.
        noise: standard deviation of the measured pixels, in (0, 1].
    """
    label = task_label("demosaicing", prior, noise=(noise, 0.02))
    return Task(label, Bayer(), (noise_level("noise", noise),) * 3, prior, 1.0)
