"""Chains of convolutions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import conv2d, conv_transpose2d, pad

GRID = 64
"""Frequencies in each direction on which norms of convolutions of 5×5 are bounded: at most 1 % too large."""


def convolve(x: Tensor, kernels: Sequence[Tensor], circular: bool) -> Tensor:
    """``K_n ⋯ K_1 x`` for images ``(B, C, H, W)``, with zero or circular boundary."""
    for kernel in kernels:
        r = kernel.shape[-1] // 2
        x = conv2d(pad(x, (r,) * 4, mode="circular"), kernel) if circular else conv2d(x, kernel, padding=r)
    return x


def convolve_adjoint(z: Tensor, kernels: Sequence[Tensor], circular: bool) -> Tensor:
    """``K_1ᵀ ⋯ K_nᵀ z``."""
    for kernel in reversed(kernels):
        r = kernel.shape[-1] // 2
        if circular:
            turned = kernel.flip(-2, -1).transpose(0, 1)
            z = conv2d(pad(z, (r,) * 4, mode="circular"), turned)
        else:
            z = conv_transpose2d(z, kernel, padding=r)
    return z


def symbol_maximum(kernels: Sequence[Tensor], side: int) -> Tensor:
    """``max |FFT(KᵀK δ)|`` on side × side frequencies, for a single input channel: differentiable in the kernels."""
    reach = sum(kernel.shape[-1] // 2 for kernel in kernels)
    width = 4 * reach + 1  # KᵀK reaches twice as far as K, so no boundary is met
    delta = kernels[0].new_zeros(1, 1, width, width)
    delta[0, 0, 2 * reach, 2 * reach] = 1
    response = convolve_adjoint(convolve(delta, kernels, False), kernels, False)
    return torch.fft.rfft2(response, s=(side, side)).abs().max()
