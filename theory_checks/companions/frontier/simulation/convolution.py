"""Small signals through circular convolutions without biases: diagonal in Fourier space, so distances are exact."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def linear_log_distances(weights: Tensor, difference: Tensor, sigma_w: Tensor) -> Tensor:
    """``log (1/N) Σ_f |x̂_f|² Π_d (4σ_w²/π)|k̂_d(f)|²`` after every layer.

    ``erf(z) = 2z/√π`` up to third order, and circulant maps commute with shifts, so that every frequency is multiplied
    by its own factor; ln χ is the logarithm of the mean of these factors, and a product of them is far below it.

    Args:
        weights: circulant maps ``(depth, N, N)``.
        difference: of the inputs, ``(N,)``.
        sigma_w: ``(P,)``.

    Returns:
        ``(depth, P)``.
    """
    kernels = torch.fft.fft(weights[:, :, 0].double())
    spectrum = torch.fft.fft(difference, norm="ortho").abs().square()
    logs = spectrum.log() + kernels.abs().square().log().cumsum(0)
    growth = torch.log(4 * sigma_w**2 / math.pi)
    layers = torch.arange(1, len(weights) + 1, dtype=torch.float64)
    return torch.logsumexp(logs, 1)[:, None] - math.log(len(difference)) + layers[:, None] * growth
