"""A task: rows of the Fourier transform of an image are lost, as in accelerated magnetic resonance imaging.

Use it, from the checkout of the project, as

    python -m bench cell --task 'docs/examples/fourier.py:fourier(keep=0.4)' --solver 'deq(0.001)'
    python -m theory_checks check 'docs/examples/fourier.py:fourier'
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from deepinv.physics import DecomposablePhysics
from torch import Tensor

from bench.operators import Prior
from bench.penalties import huber
from bench.tasks import Task


def hartley(x: Tensor) -> Tensor:
    """The real form of the Fourier transform of ``(..., H, W)``: orthonormal, symmetric, and its own inverse."""
    spectrum = torch.fft.fft2(x, norm="ortho")
    return spectrum.real - spectrum.imag


def itself(x: Tensor) -> Tensor:
    """``x``."""
    return x


@dataclass(frozen=True)
class LostRows:
    """All rows of low frequency, and as many of the others, drawn at random, as make a share ``keep`` of all."""

    keep: float
    low: float = 0.1

    def __call__(
        self, shape: tuple[int, ...], rng: torch.Generator, dtype: torch.dtype, device: torch.device
    ) -> DecomposablePhysics:
        """The mask that ``rng`` draws for images of ``shape`` ``(C, H, W)``."""
        height = shape[1]
        frequency = torch.fft.fftfreq(height, dtype=torch.float64).abs()
        # A row and the one of the opposite frequency together, as a real image has them.
        drawn = torch.rand(height, generator=rng, dtype=torch.float64)
        drawn = (drawn + drawn.roll(-1).flip(0)) - 10 * (frequency <= self.low / 2)
        kept = drawn <= drawn.sort().values[max(round(self.keep * height) - 1, 0)]
        mask = kept.to(device, dtype)[None, :, None].expand(shape).contiguous()
        return DecomposablePhysics(
            V=hartley,
            V_adjoint=hartley,
            U=itself,
            U_adjoint=itself,
            mask=mask[None],
            img_size=shape,
            device=device,
        )


def fourier(prior: Prior = huber(), keep: float = 0.5, noise: float = 0.02) -> Task:  # noqa: B008
    """Grey images, of which a share of the rows of the Fourier transform is measured."""
    if not 0 < keep <= 1:
        raise ValueError(f"keep must lie in (0, 1], not {keep!r}")
    label = f"fourier({prior.label}, keep={keep:g}, noise={noise:g})"
    return Task(label, LostRows(float(keep)), (float(noise),), prior, step=1.0)
