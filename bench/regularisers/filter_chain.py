"""Bounds on a chain of convolutions ``W = K_3 K_2 K_1``, and on its derivatives in the kernels.

A kernel D of k×k has ``‖D z‖ ≤ k ‖D‖ ‖z‖``, with the norm of its entries: an output is ``Σ_{j,t} D_{oj}(t) S_t z_j``
with shifts ``‖S_t‖ ≤ 1``, so Cauchy–Schwarz gives ``‖D z‖² ≤ Σ_o (Σ_{jt} D_{oj}(t)²) (Σ_{jt} ‖z_j‖²)``. That bounds the
derivative of ``W x`` in the direction of kernels ``D_1, D_2, D_3``, ``Σ_l K_{>l} D_l K_{<l} x``, for every x. For a
given x, ``‖D z‖² = Σ_o D_oᵀ G D_o`` is sharper, with the Gram matrix G of the patches of z.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad, unfold

from ..denoisers.architectures import convolution_norm
from ..operators.proximal import norm
from .convolutions import GRID, convolve, convolve_adjoint

UNIT = torch.finfo(torch.float64).eps
"""Twice u, the largest relative rounding of a float64 operation."""
OUTWARD = 1 + 1e-12
"""Factor on float64 bounds, for the rounding of their own sums of non-negative terms."""


@dataclass(frozen=True, slots=True, eq=False)
class FilterChain:
    """Convolutions in float64 with zero or circular boundary, of which the first has one input channel.

    The first kernel is ``c (K − mean K)``, so the derivative in it is that in K without its mean, times c.

    Attributes:
        kernels: of the convolutions, ``(out, in, k, k)``.
        circular: boundary; zeros otherwise.
        first_factor: c.
        norms: bounds on the norm of each convolution.
    """

    kernels: tuple[Tensor, ...]
    circular: bool
    first_factor: float
    norms: tuple[float, ...]

    @classmethod
    def of(cls, kernels: Sequence[Tensor], circular: bool, first_factor: float) -> FilterChain:
        """The chain of ``kernels``, with its norms."""
        norms = tuple(convolution_norm(kernel, GRID) for kernel in kernels)
        return cls(tuple(kernel.detach().clone() for kernel in kernels), circular, first_factor, norms)

    @property
    def norm(self) -> float:
        """A bound on ``‖W‖``."""
        return math.prod(self.norms)

    def forward(self, x: Tensor) -> list[Tensor]:
        """``x, K_1 x, K_2 K_1 x, W x`` for images ``x`` ``(B, 1, H, W)``."""
        values = [x]
        for kernel in self.kernels:
            values.append(convolve(values[-1], [kernel], self.circular))
        return values

    def backward(self, g: Tensor) -> list[Tensor]:
        """``Wᵀg, K_2ᵀK_3ᵀg, K_3ᵀg, g`` for coefficients ``g`` ``(B, C, H, W)``."""
        values = [g]
        for kernel in reversed(self.kernels):
            values.insert(0, convolve_adjoint(values[0], [kernel], self.circular))
        return values

    def row_norms(self, height: int, width: int) -> Tensor:
        """The norm of each row of W for images of that size, ``(C, H, W)``: how far a unit move of x moves it.

        A row depends on the distances to the borders up to the reach of the chain, so it is one of a small image.
        """
        reach = sum(kernel.shape[-1] // 2 for kernel in self.kernels)
        sides = [min(side, 2 * reach + 1) for side in (height, width)]
        norms = self._small_row_norms(*sides)
        if self.circular:  # all rows of a filter are alike
            return norms[:, :1, :1].expand(-1, height, width)
        return norms[:, _places(height, reach)][:, :, _places(width, reach)]

    def _small_row_norms(self, height: int, width: int) -> Tensor:
        columns = torch.eye(height * width, dtype=torch.float64, device=self.kernels[0].device)
        return self.forward(columns.view(-1, 1, height, width))[-1].square().sum(0).sqrt()

    def derivative_at(self, values: Sequence[Tensor]) -> float:
        """A bound on the norm of ``(D_1, D_2, D_3) ↦ Σ_l K_{>l} D_l K_{<l} x`` for ``values = forward(x)``."""
        squares = 0.0
        for place, z in enumerate(values[:-1]):
            gram = self._patch_gram(z, self.kernels[place].shape[-1])
            if place == 0:
                centred = gram - gram.mean(0, keepdim=True)
                gram = self.first_factor**2 * (centred - centred.mean(1, keepdim=True))
            squares += math.prod(self.norms[place + 1 :]) ** 2 * _largest(gram)
        return math.sqrt(squares)

    def derivative_norm(self) -> float:
        """A bound on ``‖Σ_l K_{>l} D_l K_{<l} x‖/‖x‖`` for all x and unit ``(D_1, D_2, D_3)``."""
        return math.sqrt(sum(self._around(place) ** 2 for place in range(len(self.norms))))

    def adjoint_derivative_at(self, values: Sequence[Tensor]) -> float:
        """A bound on ``|gᵀ Σ_l K_{>l} D_l K_{<l} x|/‖x‖`` for the same, for ``values = backward(g)``.

        In the proof above, ``Σ_t ‖D(t)ᵀ g‖ ≤ Σ_t ‖D(t)‖ √λ`` with λ the largest eigenvalue of the Gram matrix of the
        channels of g.
        """
        squares = 0.0
        for place, g in enumerate(values[1:]):
            channels = g.transpose(0, 1).flatten(1)
            outer = self._around(place) / math.prod(self.norms[place + 1 :])
            squares += outer**2 * _largest(channels @ channels.T)
        return math.sqrt(squares)

    def _around(self, place: int) -> float:
        """A bound on ``‖K_{>l} D K_{<l}‖`` for a unit D in that place."""
        around = math.prod(self.norms[:place]) * math.prod(self.norms[place + 1 :])
        return self.kernels[place].shape[-1] * around * (self.first_factor if place == 0 else 1.0)

    def _patch_gram(self, z: Tensor, k: int) -> Tensor:
        padded = pad(z, (k // 2,) * 4, mode="circular" if self.circular else "constant")
        gram = z.new_zeros(z.shape[1] * k * k, z.shape[1] * k * k)
        for sample in padded.split(1):  # one at a time, for memory
            patches = unfold(sample, k)[0]
            gram += patches @ patches.T
        return gram

    def rounding(self, values: Sequence[Tensor]) -> float:
        """A bound on the norm of the rounding of ``W x`` in float64 for ``values = forward(x)``.

        A sum of n products, in any order, rounds off at most ``n u/(1 − n u)`` times the sum of their moduli, u half of
        ``UNIT`` (Higham, *Accuracy and Stability of Numerical Algorithms*, section 3.1). A convolution with the moduli
        of a kernel has the norm of the matrix of its sums.
        """
        return self._rounding(range(len(self.kernels)), [norm(z) for z in values[:-1]], (1, 2, 3))

    def adjoint_rounding(self, values: Sequence[Tensor]) -> float:
        """The same of ``Wᵀg`` for ``values = backward(g)``."""
        order = reversed(range(len(self.kernels)))
        return self._rounding(order, [norm(g) for g in values[:0:-1]], (0, 2, 3))

    def entry_rounding(self, values: Sequence[Tensor], start: Tensor) -> Tensor:
        """A bound on the rounding of each entry of ``W x`` in float64, ``(B, C, H, W)``, for ``values = forward(x)``.

        Most entries round off far less than all of them together. What an entry rounds off, and what it passes on of
        its operands, are both at most a convolution with the moduli of the kernel.

        Args:
            values: ``forward(x)``.
            start: a bound on the rounding of each entry of ``x``, of its shape.
        """
        error = start
        for kernel, z in zip(self.kernels, values[:-1], strict=True):
            # Another computation of z may be twice the error away from this one.
            fresh = _units(math.prod(kernel.shape[1:])) * (z.abs() + 2 * error)
            error = OUTWARD * convolve(error + fresh, [kernel.abs()], self.circular)
        return error

    def _rounding(self, order: Iterable[int], sizes: Sequence[float], summed: tuple[int, ...]) -> float:
        error = 0.0
        for place, size in zip(order, sizes, strict=True):
            kernel = self.kernels[place]
            units = _units(math.prod(kernel.shape[axis] for axis in summed))
            moduli = float(torch.linalg.matrix_norm(kernel.abs().sum((2, 3)), ord=2))
            error = OUTWARD * (self.norms[place] * error + units * moduli * (size + 2 * error))
        return error


def _units(terms: int) -> float:
    """What a sum of so many products rounds off at most, relative to the sum of their moduli."""
    return terms * (UNIT / 2) * OUTWARD


def _places(side: int, reach: int) -> list[int]:
    """For each place of ``side``, that of an image of at most ``2 reach + 1`` at the same distances to the borders."""
    small = min(side, 2 * reach + 1)
    return [i if i < reach else max(small - (side - i), min(i, reach)) for i in range(side)]


def _largest(gram: Tensor) -> float:
    return max(0.0, float(torch.linalg.eigvalsh(gram)[-1]))
