"""Input-convex neural networks (ICNN) of two layers."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ..denoisers.architectures import convolution_norm
from ..operators.gradient_step import Curvature, SmoothRegulariser
from .convolutions import GRID, convolve, convolve_adjoint

CHANNELS, SIZE = 32, 5
"""Channels of each layer, and the side of its filters."""
SMOOTHING, WEIGHT = 0.01, 0.001
"""Initial smoothing of the activation, and weight of each channel."""
STUDY_NAMES = {
    "strength": "alpha",
    "scale": "scale",
    "smoothing": "regularizer.icnn.smoothing",
    "weights": "regularizer.icnn.scaling",
    "inner": "regularizer.icnn.wx.parametrizations.weight.original",
    "inner_bias": "regularizer.icnn.wx.bias",
    "outer": "regularizer.icnn.wz.weight",
    "outer_bias": "regularizer.icnn.wz.bias",
}
"""Names of the parameters in the files of the study arXiv 2510.01755."""


class InputConvexRegulariser(SmoothRegulariser):
    """``R(x) = e^{α−2s} Σ_c e^{w_c} Σ_i ψ(V ψ(U e^s x + u) + v)_{c,i}`` with ``V ≥ 0`` and zero-mean filters U.

    ψ is the rectifier smoothed on [0, δ], ``t²/(2δ)`` and ``t − δ/2`` beyond, up to a constant. R is convex, because ψ
    is convex and does not fall (Amos, Xu & Kolter, arXiv 1609.07152). Negative entries of V count as 0. U and V are
    convolutions of 5×5 with zero or circular boundary, 1 → 32 → 32 channels, as in arXiv 2510.01755.

    Args:
        circular: boundary of the convolutions; zeros otherwise.
        generator: draws the initial filters.

    Attributes:
        strength, scale, smoothing: α, s and ``log δ``.
        weights: w, ``(1, 32, 1, 1)``.
        inner, inner_bias, outer, outer_bias: U, u, V and v.
    """

    def __init__(self, circular: bool, generator: torch.Generator) -> None:
        super().__init__()
        self.circular = circular

        def parameter(value: Tensor) -> nn.Parameter:
            return nn.Parameter(value.double())

        self.strength, self.scale = parameter(torch.zeros(())), parameter(torch.zeros(()))
        self.smoothing = parameter(torch.tensor(math.log(SMOOTHING)))
        self.weights = parameter(torch.full((1, CHANNELS, 1, 1), math.log(WEIGHT)))
        shape = (CHANNELS, CHANNELS, SIZE, SIZE)
        self.inner = parameter(torch.randn(CHANNELS, 1, SIZE, SIZE, generator=generator) / SIZE**2)
        self.inner_bias = parameter(torch.zeros(CHANNELS))
        self.outer = parameter((0.1 * torch.randn(shape, generator=generator) - 10).exp())
        self.outer_bias = parameter(torch.zeros(CHANNELS))

    def energy(self, x: Tensor) -> Tensor:
        """See ``SmoothRegulariser.energy``."""
        _, second = self._layers(x)
        delta = self.smoothing.exp()
        potential = self.weights.exp() * _rectifier(second, delta)
        return (self.strength - 2 * self.scale).exp() * potential.sum((1, 2, 3))

    def gradient(self, x: Tensor) -> Tensor:
        """See ``SmoothRegulariser.gradient``."""
        first, second = self._layers(x)
        delta = self.smoothing.exp()
        slope = self.weights.exp() * _slope(second, delta)
        slope = convolve_adjoint(slope, [self.outer.clamp(min=0)], self.circular) * _slope(first, delta)
        return (self.strength - self.scale).exp() * convolve_adjoint(slope, [self._inner()], self.circular)

    @torch.no_grad()
    def curvature(self) -> Curvature:
        """``e^α ‖U‖² (m + max e^w ‖V‖²)/δ``, m the largest entry of ``Vᵀe^w``: ``0 ≤ ψ' ≤ 1`` and ``ψ'' ≤ 1/δ``."""
        weights, outer = self.weights.exp(), self.outer.clamp(min=0)
        reach = float((weights.view(-1, 1, 1, 1) * outer).sum((0, 2, 3)).max())
        curved = reach + float(weights.max()) * convolution_norm(outer, GRID) ** 2
        factor = float((self.strength - self.smoothing).exp())
        return Curvature(factor * convolution_norm(self._inner(), GRID) ** 2 * curved)

    def _layers(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The arguments of both activations."""
        first = convolve(self.scale.exp() * x, [self._inner()], self.circular)
        first = first + self.inner_bias.view(1, -1, 1, 1)
        z = _rectifier(first, self.smoothing.exp())
        second = convolve(z, [self.outer.clamp(min=0)], self.circular)
        return first, second + self.outer_bias.view(1, -1, 1, 1)

    def _inner(self) -> Tensor:
        return self.inner - self.inner.mean((1, 2, 3), keepdim=True)


def _rectifier(t: Tensor, delta: Tensor) -> Tensor:
    inside = torch.minimum(t.clamp(min=0), delta)
    return inside.square() / (2 * delta) + torch.maximum(t, delta) - delta


def _slope(t: Tensor, delta: Tensor) -> Tensor:
    return torch.minimum(t.clamp(min=0), delta) / delta
