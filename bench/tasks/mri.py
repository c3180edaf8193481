"""Accelerated magnetic resonance imaging: some lines of the Fourier transform of a complex image."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from deepinv.physics import MRI, DecomposablePhysics

from ..operators import Prior
from ..penalties import colours
from ..utils.arguments import noise_level, up_to
from ..utils.errors import UserError
from .base import Task, task_label
from .complex_images import COMPLEX

CENTRE = 0.08
"""Share of the lines, around the lowest frequency, that are always measured: as in fastMRI at acceleration 4."""
DEFAULT = colours(smoothing=0.01, ridge=0.02)
"""Real and imaginary part are one group: the penalty is on the modulus of a complex coefficient."""


@dataclass(frozen=True, slots=True)
class Lines:
    """A Cartesian mask: one in ``acceleration`` lines, a band in the middle, the others drawn at random."""

    acceleration: float

    def __call__(
        self, shape: tuple[int, ...], rng: torch.Generator, dtype: torch.dtype, device: torch.device
    ) -> DecomposablePhysics:
        """The measurement of images of ``shape``, ``(2, H, W)``; k-space has the same shape."""
        mask = cartesian_mask(shape, self.acceleration, rng)
        return MRI(mask=mask.to(device, dtype), device=device)


def cartesian_mask(shape: tuple[int, ...], acceleration: float, rng: torch.Generator) -> torch.Tensor:
    """A mask ``(1, 2, H, W)`` of float64: whole columns are measured or not.

    Raises ``UserError`` for images that are not complex.
    """
    if shape[0] != COMPLEX:
        raise UserError(
            f"magnetic resonance imaging takes images of 2 channels, the real and the imaginary part, not {shape[0]}"
        )
    width = shape[2]
    middle, total = max(1, round(CENTRE * width)), max(1, round(width / acceleration))
    first = (width - middle) // 2
    columns = torch.zeros(width, dtype=torch.float64)
    columns[first : first + middle] = 1
    measure_others(columns, total, rng)
    return columns.expand(1, COMPLEX, *shape[1:]).contiguous()


def measure_others(places: torch.Tensor, total: int, rng: torch.Generator) -> None:
    """Set random places of a mask ``(places,)`` of zeros and ones to 1, until ``total`` are."""
    order = torch.randperm(len(places), generator=rng)
    others = order[places[order] == 0]
    places[others[: max(0, total - int(places.sum()))]] = 1


def mri(prior: Prior = DEFAULT, acceleration: float = 4.0, noise: float = 0.02) -> Task:
    """Complex images, one coil, Cartesian lines.

    Args:
        prior: a penalty; ``colours`` groups real and imaginary part.
        acceleration: all lines over measured ones, in (0, 16]; 1 or less measures all.
        noise: standard deviation of each part of a sample of k-space, in (0, 1].
    """
    lines = Lines(up_to("acceleration", acceleration, 16, ""))
    label = task_label("mri", prior, acceleration=(acceleration, 4.0), noise=(noise, 0.02))
    return Task(label, lines, (noise_level("noise", noise),) * COMPLEX, prior, 1.0)
