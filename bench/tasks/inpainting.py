"""Inpainting: pixels lost at random, and Gaussian noise on the others."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from deepinv.physics import DecomposablePhysics, Inpainting

from ..operators import Prior
from ..penalties import huber
from ..utils.arguments import noise_level
from ..utils.errors import UserError
from .base import Task, task_label


@dataclass(frozen=True, slots=True)
class LostPixels:
    """A mask that loses a share of the pixels, in all channels."""

    share: float

    def __call__(
        self, shape: tuple[int, ...], rng: torch.Generator, dtype: torch.dtype, device: torch.device
    ) -> DecomposablePhysics:
        """The mask that ``rng`` draws for images of ``shape``."""
        mask = torch.rand(1, *shape[1:], generator=rng, dtype=torch.float64) >= self.share
        return Inpainting(
            img_size=shape,  # pyright: ignore[reportArgumentType]
            mask=mask.to(device, dtype).expand(shape),
            device=device,
        )


def inpainting(prior: Prior = huber(), lost: float = 0.5, noise: float = 0.05) -> Task:  # noqa: B008
    """Grey images.

    Args:
        lost: share of the pixels lost, in (0, 1); 0.1 and 0.5 in arXiv 2506.13239.
        noise: standard deviation on the other pixels, in (0, 1].
    """
    return _task("inpainting", 1, prior, lost, noise)


def inpainting_colour(prior: Prior = huber(), lost: float = 0.5, noise: float = 0.05) -> Task:  # noqa: B008
    """Colour images; arguments as for ``inpainting``."""
    return _task("inpainting_colour", 3, prior, lost, noise)


def _task(name: str, channels: int, prior: Prior, lost: float, noise: float) -> Task:
    label = task_label(name, prior, lost=(lost, 0.5), noise=(noise, 0.05))
    if not 0 < lost < 1:
        raise UserError(f"lost must lie strictly between 0 and 1, not {lost!r}")
    return Task(label, LostPixels(float(lost)), (noise_level("noise", noise),) * channels, prior, 1.0)
