"""Sparse-view computed tomography: a few parallel projections."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from deepinv.physics import LinearPhysics, Tomography

from ..operators import Prior
from ..penalties import huber
from ..spectra import spectrum_of
from ..utils.arguments import noise_level, whole
from ..utils.errors import UserError
from .base import Task, task_label


@dataclass(frozen=True, slots=True)
class Projections:
    """Parallel projections at ``angles`` angles over half a turn, in units in which ``‖A‖² ≤ 1`` is proven."""

    angles: int

    def __call__(
        self, shape: tuple[int, ...], rng: torch.Generator, dtype: torch.dtype, device: torch.device
    ) -> LinearPhysics:
        """The projections of square images of ``shape``; measurements are ``(C, detectors, angles)``.

        deepinv's own normalisation is a power iteration, which stays below ``‖A‖``; here it is the upper end of the
        enclosure of Collatz and Wielandt. Raises ``UserError`` for images that are not square.
        """
        if shape[1] != shape[2]:
            raise UserError(f"tomography takes square images, not {shape[1]}×{shape[2]}")
        unscaled = self._physics(shape[1], torch.float64)
        norm = spectrum_of(unscaled, shape).largest ** 0.5
        physics = self._physics(shape[1], dtype).to(device)
        physics.register_buffer("operator_norm", torch.tensor(norm, dtype=dtype, device=device))
        physics.normalize = True
        return physics

    def _physics(self, side: int, dtype: torch.dtype) -> Tomography:
        """On the CPU, and without a normalisation."""
        at = torch.arange(self.angles, dtype=torch.float64) * (180 / self.angles)
        angles = at.to(dtype)
        return Tomography(angles=angles, img_width=side, normalize=False, dtype=dtype)  # pyright: ignore[reportArgumentType]


def tomography(prior: Prior = huber(), angles: int = 30, noise: float = 0.02) -> Task:  # noqa: B008
    """Grey images, parallel beams.

    Args:
        prior: a penalty or a denoiser.
        angles: number of projections, from 1 to 1000.
        noise: standard deviation in (0, 1], of projections divided by the bound on ``‖A‖``.
    """
    label = task_label("tomography", prior, angles=(angles, 30), noise=(noise, 0.02))
    return Task(
        label, Projections(whole("angles", angles, 1, 1000)), (noise_level("noise", noise),), prior, 1.0
    )
