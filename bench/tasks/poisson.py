"""Photon counts of a blurred image, by weighted least squares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from deepinv.physics import BlurFFT, LinearPhysics

from ..operators import Prior
from ..operators.counts import CountedBlur
from ..penalties import huber
from ..utils.arguments import up_to
from .base import Task, task_label
from .deblurring import GaussianBlur


@dataclass(frozen=True, slots=True)
class Counts:
    """A Gaussian blur of ``blur`` pixels, and counts with ``photons`` at the peak."""

    blur: float
    photons: float

    def __call__(
        self, shape: tuple[int, ...], rng: torch.Generator, dtype: torch.dtype, device: torch.device
    ) -> LinearPhysics:
        """The measurement of images of ``shape``; counts are divided by ``photons``."""
        blur = GaussianBlur(self.blur)(shape, rng, dtype, device)
        return CountedBlur(cast(BlurFFT, blur), self.photons)


def poisson(prior: Prior = huber(), photons: float = 30.0, blur: float = 1.0) -> Task:  # noqa: B008
    """Grey images; weights from the measured counts take the place of the Poisson likelihood (see ``CountedBlur``).

    Args:
        prior: a penalty or a denoiser.
        photons: expected count of a white pixel, in (0, 1000000].
        blur: standard deviation of the kernel in pixels, in (0, 10].
    """
    physics = Counts(up_to("blur", blur, 10, " pixels"), up_to("photons", photons, 1e6, ""))
    label = task_label("poisson", prior, photons=(photons, 30.0), blur=(blur, 1.0))
    return Task(label, physics, (0.0,), prior, 1.0)
