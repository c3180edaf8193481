"""Fields of experts: one layer of filters under a smooth potential."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ..denoisers.architectures import convolution_norm
from ..operators.gradient_step import Curvature, SmoothRegulariser
from .convolutions import GRID, convolve, convolve_adjoint

FILTERS, SIZE = 48, 7
"""Number and side of the filters, as of Chen, Ranftl & Pock 2014."""
NOISE = 0.1
"""Noise level that the initial ``a = log(2/noise)`` suits, as for ridge regularisers."""
DOWNWARD = 1 / 8
"""``−min φ''`` of ``φ(u) = ½ log(1 + u²)``, at u = √3."""


class FieldsOfExperts(SmoothRegulariser):
    """``R(x) = e^α Σ_c e^{−2a_c} Σ_i φ(e^{a_c} (k_c ∗ x)_i)`` with zero-mean filters k_c of 7×7.

    ``φ(u) = ½ log(1 + u²)`` is that of a Student-t distribution (Roth & Black 2009, doi 10.1007/s11263-008-0197-6);
    its second derivative lies in [−1/8, 1]. If convex, ``φ(u) = √(1 + u²) − 1``, whose second derivative lies in
    (0, 1]. Learned by bilevel optimisation in Chen, Ranftl & Pock 2014 (doi 10.1109/TIP.2014.2299065).

    Args:
        convex: which φ.
        circular: boundary of the filters; zeros otherwise.
        generator: draws the initial filters.

    Attributes:
        strength: α.
        scalings: a, ``(1, 48, 1, 1)``.
        kernels: of the filters before their mean is subtracted, ``(48, 1, 7, 7)``.
    """

    def __init__(self, convex: bool, circular: bool, generator: torch.Generator) -> None:
        super().__init__()
        self.convex, self.circular = convex, circular
        self.strength = nn.Parameter(torch.zeros((), dtype=torch.float64))
        first = torch.full((1, FILTERS, 1, 1), math.log(2 / NOISE), dtype=torch.float64)
        self.scalings = nn.Parameter(first)
        drawn = torch.randn(FILTERS, 1, SIZE, SIZE, generator=generator, dtype=torch.float64)
        self.kernels = nn.Parameter(drawn / SIZE / math.sqrt(FILTERS))

    def energy(self, x: Tensor) -> Tensor:
        """See ``SmoothRegulariser.energy``."""
        size = self.scalings.exp()
        square = (size * convolve(x, [self.filters()], self.circular)).square()
        # √(1 + u²) − 1, without cancellation at small u.
        potential = square / (1 + (1 + square).sqrt()) if self.convex else square.log1p() / 2
        return self.strength.exp() * (potential / size.square()).sum((1, 2, 3))

    def gradient(self, x: Tensor) -> Tensor:
        """See ``SmoothRegulariser.gradient``."""
        filters, size = [self.filters()], self.scalings.exp()
        u = size * convolve(x, filters, self.circular)
        slope = u / (1 + u.square()).sqrt() if self.convex else u / (1 + u.square())
        return self.strength.exp() * convolve_adjoint(slope / size, filters, self.circular)

    def filters(self) -> Tensor:
        """The filters k_c, with zero mean."""
        return self.kernels - self.kernels.mean((1, 2, 3), keepdim=True)

    @torch.no_grad()
    def curvature(self) -> Curvature:
        """``e^α ‖K‖²``, and an eighth of it unless φ is convex; the norm is at most 3 % too large."""
        largest = float(self.strength.exp()) * convolution_norm(self.filters(), GRID) ** 2
        return Curvature(largest, 0.0 if self.convex else DOWNWARD * largest)
