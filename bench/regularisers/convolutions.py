"""Chains of convolutions, and proven bounds on their norms."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import conv2d, conv_transpose2d, pad

FINENESS = 16
"""Points of the frequency grid for each degree of the polynomial whose maximum is bounded."""


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


def norm_bound(kernel: Tensor) -> float:
    """A bound on the norm of a convolution ``(out, in, k, k)`` with zero or circular boundary, at most 4 % too large.

    With a circular boundary the norm is the largest singular value of the symbol over the frequencies of the image, a
    zero boundary is a part of a larger circular one. The square of the largest singular value is the maximum over unit
    vectors v and frequencies of ``‖Â(ω)v‖²``, for each v a trigonometric polynomial of degree k − 1 in each variable.
    Next to a maximum it is at least ``cos(nt)`` times it at a distance t (M. Riesz), so the largest value on a grid of
    N×N frequencies, divided by ``cos²(πn/N)``, bounds it.
    """
    degree = kernel.shape[-1] - 1
    if degree == 0:
        return float(torch.linalg.matrix_norm(kernel.detach().double()[:, :, 0, 0], 2))
    side = FINENESS * degree
    symbol = torch.fft.rfft2(kernel.detach().double(), s=(side, side)).permute(2, 3, 0, 1)
    # The smaller of the two Gram matrices.
    gram = symbol.mH @ symbol if symbol.shape[-1] <= symbol.shape[-2] else symbol @ symbol.mH
    largest = float(torch.linalg.eigvalsh(gram)[..., -1].max())
    return math.sqrt(max(largest, 0.0)) / math.cos(math.pi / FINENESS)


def symbol_maximum(kernels: Sequence[Tensor], side: int) -> Tensor:
    """``max |FFT(KᵀK δ)|`` on side × side frequencies, for a single input channel: differentiable in the kernels."""
    reach = sum(kernel.shape[-1] // 2 for kernel in kernels)
    width = 4 * reach + 1  # KᵀK reaches twice as far as K, so no boundary is met
    delta = kernels[0].new_zeros(1, 1, width, width)
    delta[0, 0, 2 * reach, 2 * reach] = 1
    response = convolve_adjoint(convolve(delta, kernels, False), kernels, False)
    return torch.fft.rfft2(response, s=(side, side)).abs().max()
