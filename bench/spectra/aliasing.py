"""The spectrum of a circular filter and decimation by s: frequencies that alias share one eigenvalue.

Decimation folds the s² frequencies of a group onto one. With ĥ the transform of the filter, ``AᵀA`` is of rank one on
each group: its eigenvalues are ``Σ|ĥ|²/s²`` over the group, and 0 (Zhao et al. 2016, "Fast single image
super-resolution using a new analytical solution for l2–l2 problems").
"""

from __future__ import annotations

from typing import cast

from deepinv.physics import Downsampling
from deepinv.physics.functional import filter_fft
from torch import Tensor

from .spectrum import Basis, Spectrum

ROUNDING = 1e-12
"""Relative to the largest eigenvalue: more than the transform of a kernel rounds off."""


def folds(physics: Downsampling, shape: tuple[int, ...]) -> bool:
    """Whether a physics is a circular filter of one kernel and decimation of images of ``shape`` by a divisor."""
    kernel = physics.filter
    return (
        physics.padding == "circular"
        and isinstance(kernel, Tensor)
        and kernel.ndim == 4
        and len(kernel) == 1
        and all(side % int(physics.factor) == 0 for side in shape[1:])
        and max(kernel.shape[-2:]) <= min(shape[1:])
    )


def group_sums(transform: Tensor, factor: int) -> Tensor:
    """Sum of the s² frequencies of each group: ``(..., H, W)`` to ``(..., H/s, W/s)``."""
    height, width = transform.shape[-2:]
    folded = transform.unflatten(-1, (factor, width // factor)).unflatten(-3, (factor, height // factor))
    return folded.sum((-4, -2))


def kernel_transform(kernel: Tensor, shape: tuple[int, ...]) -> Tensor:
    """ĥ, the transform of a kernel ``(1, 1 or C, h, w)`` on all frequencies of images of ``shape`` ``(C, H, W)``."""
    return cast(Tensor, filter_fft(kernel, shape, real_fft=False, dims=(-2, -1)))


def aliased_spectrum(physics: Downsampling, shape: tuple[int, ...]) -> Spectrum:
    """The spectrum, computed in float64, of a physics that ``folds`` images of ``shape``."""
    factor, kernel = int(physics.factor), cast(Tensor, physics.filter).detach().double()
    power = kernel_transform(kernel, shape).abs().square()
    values = group_sums(power, factor) / factor**2
    least, largest = float(values.min()) if factor == 1 else 0.0, float(values.max())
    slack = ROUNDING * largest
    return Spectrum(max(0.0, least - slack), largest + slack, Basis.EXACT, max(0.0, largest - slack))
