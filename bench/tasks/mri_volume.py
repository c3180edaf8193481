"""Accelerated magnetic resonance imaging of volumes: some lines along the first axis of k-space."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from deepinv.physics import MRI, DecomposablePhysics
from torch import Tensor

from ..operators import Prior
from ..utils.arguments import noise_level, up_to
from ..utils.errors import UserError
from .base import Task, task_label
from .complex_images import COMPLEX
from .mri import DEFAULT, measure_others

CENTRE = 0.2
"""Side of the box around the lowest frequency that is always measured, relative to the sides of k-space."""


@dataclass(frozen=True, slots=True)
class PhaseEncodings:
    """A mask over the last two axes: one in ``acceleration`` places, a box in the middle, others drawn at random."""

    acceleration: float

    def __call__(
        self, shape: tuple[int, ...], rng: torch.Generator, dtype: torch.dtype, device: torch.device
    ) -> DecomposablePhysics:
        """The measurement of volumes of ``shape``, ``(2, D, H, W)``; k-space has the same shape."""
        mask = encoding_mask(shape, self.acceleration, rng)
        return MRI(mask=mask.to(device, dtype), three_d=True, device=device)


def encoding_mask(shape: tuple[int, ...], acceleration: float, rng: torch.Generator) -> Tensor:
    """A mask ``(1, 2, D, H, W)`` of float64: whole lines along the first axis are measured or not.

    Raises ``UserError`` for volumes that are not complex.
    """
    if shape[0] != COMPLEX:
        raise UserError(
            f"magnetic resonance imaging takes volumes of 2 channels, the real and the imaginary part, not {shape[0]}"
        )
    height, width = shape[-2:]
    box = [max(1, round(CENTRE * side)) for side in (height, width)]
    places = torch.zeros(height, width, dtype=torch.float64)
    corner = [
        slice((side - b) // 2, (side - b) // 2 + b) for side, b in zip((height, width), box, strict=True)
    ]
    places[tuple(corner)] = 1
    measure_others(places.view(-1), round(height * width / acceleration), rng)
    return places.expand(1, *shape).contiguous()


def mri_volume(prior: Prior = DEFAULT, acceleration: float = 4.0, noise: float = 0.02) -> Task:
    """Complex volumes, one coil, lines along the first axis.

    Args:
        prior: a penalty; ``colours`` groups real and imaginary part.
        acceleration: all lines over measured ones, in (0, 16]; 1 or less measures all.
        noise: standard deviation of each part of a sample of k-space, in (0, 1].
    """
    encodings = PhaseEncodings(up_to("acceleration", acceleration, 16, ""))
    label = task_label("mri_volume", prior, acceleration=(acceleration, 4.0), noise=(noise, 0.02))
    return Task(label, encodings, (noise_level("noise", noise),) * COMPLEX, prior, 1.0, axes=3)
