"""Parallel magnetic resonance imaging: several coils, each with its sensitivity."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from deepinv.physics import LinearPhysics, MultiCoilMRI
from torch import Tensor

from ..operators import Prior
from ..spectra.coils import check_maps
from ..utils.arguments import noise_level, up_to, whole
from ..utils.errors import UserError
from .base import Task, task_label
from .complex_images import COMPLEX
from .mri import DEFAULT, cartesian_mask

WIDTH = 0.45
"""Standard deviation of the sensitivity of a coil, in sides of the image."""


@dataclass(frozen=True, slots=True)
class Coils:
    """``coils`` simulated maps and a Cartesian mask."""

    coils: int
    acceleration: float

    def __call__(
        self, shape: tuple[int, ...], rng: torch.Generator, dtype: torch.dtype, device: torch.device
    ) -> LinearPhysics:
        """The measurement of images of ``shape``, ``(2, H, W)``; measurements are ``(2, coils, H, W)``."""
        mask = cartesian_mask(shape, self.acceleration, rng)
        maps = simulated_maps(self.coils, shape[1], shape[2])
        kind = torch.complex128 if dtype == torch.float64 else torch.complex64
        return MultiCoilMRI(mask=mask.to(device, dtype), coil_maps=maps.to(device, kind), device=device)


def simulated_maps(coils: int, height: int, width: int) -> Tensor:
    """Smooth complex maps ``(1, coils, H, W)`` whose squared moduli sum to 1 at every place, complex128.

    A coil stands on a circle around the image; its sensitivity falls off as a Gaussian, with a linear phase.
    """
    y = torch.linspace(-0.5, 0.5, height, dtype=torch.float64)[:, None]
    x = torch.linspace(-0.5, 0.5, width, dtype=torch.float64)[None]
    maps: list[Tensor] = []
    for c in range(coils):
        angle = 2 * math.pi * c / coils
        across, along = 0.6 * math.cos(angle), 0.6 * math.sin(angle)
        size = torch.exp(-((x - across).square() + (y - along).square()) / (2 * WIDTH**2))
        maps.append(torch.polar(size, math.pi * (across * x + along * y) + angle))
    return normalised(torch.stack(maps)[None])


def normalised(maps: Tensor) -> Tensor:
    """Maps ``(B, N, H, W)`` over the root of the sum of their squared moduli.

    Raises ``UserError`` if a map is zero everywhere, or all of them at one place.
    """
    check_maps(maps)
    size = maps.abs().square().sum(1, keepdim=True).sqrt()
    if bool((size == 0).any()):
        raise UserError(
            f"all coil maps vanish at {int((size == 0).sum())} pixels: crop the image to where a coil sees it"
        )
    return maps / size


def mri_coils(prior: Prior = DEFAULT, coils: int = 4, acceleration: float = 4.0, noise: float = 0.02) -> Task:
    """Complex images, simulated coils, Cartesian lines.

    Args:
        prior: a penalty; ``colours`` groups real and imaginary part.
        coils: number of coils, from 1 to 32.
        acceleration: all lines over measured ones, in (0, 16]; 1 or less measures all.
        noise: standard deviation of each part of a sample of k-space, in (0, 1].
    """
    physics = Coils(whole("coils", coils, 1, 32), up_to("acceleration", acceleration, 16, ""))
    label = task_label(
        "mri_coils", prior, coils=(coils, 4), acceleration=(acceleration, 4.0), noise=(noise, 0.02)
    )
    return Task(label, physics, (noise_level("noise", noise),) * COMPLEX, prior, 1.0)
