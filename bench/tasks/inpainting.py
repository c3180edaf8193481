"""Inpainting: pixels lost at random, Gaussian noise on the others."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from deepinv.physics import DecomposablePhysics, Inpainting

from ..operators import Prior
from ..penalties import huber
from ..utils.errors import UserError
from .arguments import label, noise_level
from .base import Task


@dataclass(frozen=True, slots=True)
class LostPixels:
    """A mask that loses a share of the pixels, all channels of a pixel together."""

    share: float

    def __call__(
        self, shape: tuple[int, int, int], rng: torch.Generator, dtype: torch.dtype, device: torch.device
    ) -> DecomposablePhysics:
        """The mask that ``rng`` draws for images of ``shape``."""
        kept = torch.rand(1, *shape[1:], generator=rng, dtype=torch.float64) >= self.share
        return Inpainting(
            img_size=shape,  # pyright: ignore[reportArgumentType]
            mask=kept.to(device, dtype).expand(shape),
            device=device,
        )


def _lost(share: float) -> LostPixels:
    if not 0 < share < 1:
        raise UserError(f"lost must lie strictly between 0 and 1, not {share!r}")
    return LostPixels(float(share))


def inpainting(prior: Prior = huber(), lost: float = 0.5, noise: float = 0.05) -> Task:  # noqa: B008
    """Grey images.

    Args:
        prior: what is learned: a penalty or a denoiser.
        lost: share of the pixels lost, in (0, 1); 0.1 and 0.5 in arXiv 2506.13239.
        noise: standard deviation on the pixels kept, in (0, 1].
    """
    text = label("inpainting", prior, lost=(lost, 0.5), noise=(noise, 0.05))
    return Task(text, _lost(lost), (noise_level(noise),), prior, 1.0)


def inpainting_colour(prior: Prior = huber(), lost: float = 0.5, noise: float = 0.05) -> Task:  # noqa: B008
    """Colour images; arguments as for ``inpainting``."""
    text = label("inpainting_colour", prior, lost=(lost, 0.5), noise=(noise, 0.05))
    return Task(text, _lost(lost), (noise_level(noise),) * 3, prior, 1.0)
