"""Denoising: A = I, Gaussian noise."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from deepinv.physics import DecomposablePhysics
from deepinv.physics import Denoising as IdentityPhysics

from ..operators import Prior
from ..penalties import huber
from ..utils.arguments import noise_level
from .base import Task, task_label


@dataclass(frozen=True, slots=True)
class Identity:
    """The identity measurement."""

    def __call__(
        self, shape: tuple[int, ...], rng: torch.Generator, dtype: torch.dtype, device: torch.device
    ) -> DecomposablePhysics:
        """The identity for images of ``shape``."""
        return IdentityPhysics(device=device)


STEP = 0.5
"""With τ = 1 and A = I the operator is constant in x and every estimator is exact (THEORY C11): a test of the
estimators, but no benchmark. τ = 1/2 makes L = 1/2, the easiest contractive task."""


def denoising(prior: Prior = huber(), noise: float = 0.1) -> Task:  # noqa: B008
    """Grey images, with a ``noise`` of standard deviation in (0, 1]; the prior is a penalty or a denoiser."""
    label = task_label("denoising", prior, noise=(noise, 0.1))
    return Task(label, Identity(), (noise_level("noise", noise),), prior, STEP)


def denoising_colour(prior: Prior = huber()) -> Task:  # noqa: B008
    """Colour images with anisotropic noise: σ = 0.1, 0.25 and 0.5 in red, green and blue (arXiv 2506.13239)."""
    return Task(task_label("denoising_colour", prior), Identity(), (0.1, 0.25, 0.5), prior, STEP)
