"""Convex and weakly convex ridge regularisers (CRR, WCRR)."""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor, nn

from solvers import DerivativeBounds

from ..operators.data_fidelity import DataFidelity
from ..operators.gradient_step import Curvature, SmoothRegulariser
from .convolutions import convolve, convolve_adjoint, symbol_maximum
from .filter_chain import FilterChain
from .potentials import huber, huber_slope
from .ridge_bounds import RidgeBounds

CHANNELS = (1, 4, 8, 64)
"""Channels between the convolutions."""
SIZE = 5
"""Side of their filters."""
SIDE = 256
"""Side of the frequency grid on which the convolutions are scaled to norm 1."""
STUDY_NAMES = {
    "strength": "alpha",
    "scale": "scale",
    "steepness": "regularizer.beta",
    "scalings": "regularizer.scaling",
    "kernels.0": "regularizer.filters.0.parametrizations.weight.original",
    "kernels.1": "regularizer.filters.1.weight",
    "kernels.2": "regularizer.filters.2.weight",
}
"""Names of the parameters in the files of the study arXiv 2510.01755."""
STEEPNESS, NOISE = 4.0, 0.1
"""Initial b, and the noise level that the initial ``a = log(2/noise)`` suits, as in the study."""


class RidgeRegulariser(SmoothRegulariser):
    """``R(x) = e^{α−2s} Σ_c e^{−2a_c} Σ_i [e^{−b} φ(e^{b+a_c} z_{c,i}) − w φ(e^{a_c} z_{c,i})]`` with ``z = W(e^s x)``.

    W are three convolutions of 5×5, 1 → 4 → 8 → 64 channels, whose first filters have zero mean, divided by the norm of
    their symbol on 256×256 frequencies. φ is Huber's function at 1. ``w = 0`` is a convex ridge regulariser
    (arXiv 2211.12461), ``w = 1`` a weakly convex one (arXiv 2308.10542), with ``ρ ≤ e^α ‖W‖²``. In this form, with its
    numbers of channels, they are those of the comparative study arXiv 2510.01755.

    Args:
        weak: w, 0 or 1.
        circular: boundary of the convolutions; zeros otherwise.
        generator: draws the initial filters.

    Attributes:
        strength, scale, steepness: α, s and b.
        scalings: a, ``(1, 64, 1, 1)``.
        kernels: of the convolutions, ``(out, in, 5, 5)``.
    """

    def __init__(self, weak: float, circular: bool, generator: torch.Generator) -> None:
        super().__init__()
        self.weak, self.circular = weak, circular
        self.strength = nn.Parameter(torch.zeros((), dtype=torch.float64))
        self.scale = nn.Parameter(torch.zeros((), dtype=torch.float64))
        self.steepness = nn.Parameter(torch.tensor(STEEPNESS, dtype=torch.float64))
        self.scalings = nn.Parameter(
            torch.full((1, CHANNELS[-1], 1, 1), math.log(2 / NOISE), dtype=torch.float64)
        )
        shapes = [(after, before, SIZE, SIZE) for before, after in itertools.pairwise(CHANNELS)]
        self.kernels = nn.ParameterList(
            torch.randn(shape, generator=generator, dtype=torch.float64) / SIZE / math.sqrt(shape[1])
            for shape in shapes
        )
        self._chain: tuple[list[tuple[int, int]], FilterChain] | None = None  # at kernels and their versions

    def energy(self, x: Tensor) -> Tensor:
        """See ``SmoothRegulariser.energy``."""
        kernels = self.filters()
        size, steep = self.scalings.exp(), self.steepness.exp()
        z = size * convolve(self.scale.exp() * x, kernels, self.circular)
        potential = huber(steep * z) / steep
        if self.weak:
            potential = potential - self.weak * huber(z)
        return (self.strength - 2 * self.scale).exp() * (potential / size.square()).sum((1, 2, 3))

    def gradient(self, x: Tensor) -> Tensor:
        """See ``SmoothRegulariser.gradient``."""
        kernels = self.filters()
        size = self.scalings.exp()
        z = size * convolve(self.scale.exp() * x, kernels, self.circular)
        slope = huber_slope(self.steepness.exp() * z)
        if self.weak:
            slope = slope - self.weak * huber_slope(z)
        return (self.strength - self.scale).exp() * convolve_adjoint(slope / size, kernels, self.circular)

    def filters(self) -> list[Tensor]:
        """The kernels, with zero mean and scaled to norm 1."""
        first, *others = self.kernels
        first = first - first.mean((1, 2, 3), keepdim=True)
        return [first * symbol_maximum([first, *others], SIDE).rsqrt(), *others]

    def norm_slope(self) -> float:
        """The norm of the derivative, in the kernels, of the logarithm of the norm that W is divided by."""
        kernels = [kernel.detach().requires_grad_() for kernel in self.kernels]
        with torch.enable_grad():
            first = kernels[0] - kernels[0].mean((1, 2, 3), keepdim=True)
            size = symbol_maximum([first, *kernels[1:]], SIDE).log() / 2
            slopes = torch.autograd.grad(size, kernels)
        return math.hypot(*(float(slope.double().norm()) for slope in slopes))

    @torch.no_grad()
    def chain(self) -> FilterChain:
        """The filters as a chain of convolutions with bounds on their norms; computed again when a kernel has changed.

        The norms take as long as tens of applications.
        """
        versions = [(id(p), p._version) for p in self.kernels]
        if self._chain is None or self._chain[0] != versions:
            first, *others = self.kernels
            factor = symbol_maximum([first - first.mean((1, 2, 3), keepdim=True), *others], SIDE).rsqrt()
            self._chain = versions, FilterChain.of(self.filters(), self.circular, float(factor))
        return self._chain[1]

    def regularity(self, step: float, data: DataFidelity) -> DerivativeBounds | None:
        """See ``SmoothRegulariser.regularity``; ``None`` also where L is not below 1: no bound is finite."""
        bounds = RidgeBounds.of(step, self, data)
        return bounds if bounds is not None and bounds.L < 1 else None

    @torch.no_grad()
    def curvature(self) -> Curvature:
        """``e^{α+b}‖W‖²`` and ``w e^α ‖W‖²``: with one norm for each convolution, which is proven, and too large."""
        # Read together: on a GPU each is a wait.
        strength, steepness = torch.stack([self.strength, self.steepness]).exp().tolist()
        strength *= self.chain().norm ** 2
        return Curvature(strength * steepness, self.weak * strength)
