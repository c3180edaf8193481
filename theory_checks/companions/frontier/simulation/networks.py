"""Random networks: linear maps and biases of every layer, drawn once for all hyperparameters and inputs.

Layer d is ``z_d = σ_w W_d x_{d−1} + σ_b b_d``, ``x_d = erf(z_d)``. W_d and b_d are the same at every (σ_w, σ_b);
otherwise the landscape would not be a function of them. Definitions: arXiv 2508.03222 and its code, with one
normalisation for the three architectures, ``E‖W x‖² = ‖x‖²``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

import torch
from torch import Tensor


class Architecture(Enum):
    """How the linear map of a layer is drawn; the value is the name printed in tables."""

    MLP = "MLP"
    """Independent entries N(0, 1/N)."""
    STRUCTURED = "structured"
    """``√2 Re(F D₂ F D₁)``: F the orthonormal Fourier transform, D₁ and D₂ uniform phases."""
    CONV = "convolutional"
    """Circular convolution with a kernel as long as the layer, entries N(0, 1/N)."""


@dataclass(frozen=True, slots=True)
class Network:
    """The weights and biases of a network, without its two hyperparameters.

    Attributes:
        weights: W_d, ``(depth, width, width)``, float32, so that float32 and float64 landscapes are of the same
            network.
        biases: b_d, ``(depth, width)``, float32.
    """

    weights: Tensor
    biases: Tensor

    @property
    def depth(self) -> int:
        """The number of layers."""
        return len(self.weights)

    @property
    def width(self) -> int:
        """The number of units of a layer."""
        return self.weights.shape[-1]

    def to(self, device: str) -> Network:
        """The network on another device."""
        return Network(self.weights.to(device), self.biases.to(device))


def generator(seed: int) -> torch.Generator:
    """A random generator on the CPU, so that a seed is the same network on every device."""
    return torch.Generator().manual_seed(seed)


def linear_maps(architecture: Architecture, width: int, count: int, source: torch.Generator) -> Tensor:
    """Linear maps of independent layers, as matrices: ``(count, width, width)``, float32."""
    if architecture is Architecture.MLP:
        return normal((count, width, width), source) / math.sqrt(width)
    index = torch.arange(width)
    if architecture is Architecture.CONV:
        kernels = normal((count, width), source) / math.sqrt(width)
        return kernels[:, (index[:, None] - index) % width]
    angles = torch.rand((2, count, width), generator=source) * (2 * math.pi)
    first, second = torch.polar(torch.ones_like(angles), angles)
    # The entry (j, k) of F D₂ F depends on j + k alone, so one transform of N numbers gives the matrix.
    inner = torch.fft.fft(second, dim=1)[:, (index[:, None] + index) % width] * (math.sqrt(2) / width)
    return inner.real * first.real[:, None] - inner.imag * first.imag[:, None]


def normal(shape: tuple[int, ...], source: torch.Generator) -> Tensor:
    """Standard normal numbers, float32 on the CPU."""
    return torch.randn(shape, generator=source)


def draw_network(architecture: Architecture, width: int, depth: int, seed: int) -> Network:
    """A network on the CPU. A deeper one of the same seed shares no layer with it."""
    source = generator(seed)
    biases = normal((depth, width), source)
    return Network(linear_maps(architecture, width, depth, source), biases)


def two_inputs(width: int, seed: int) -> Tensor:
    """Two independent directions of norm ``√width``: ``(width, 2)``, float64."""
    directions = normal((width, 2), generator(1_000_003 + seed)).double()
    return directions / directions.norm(dim=0) * math.sqrt(width)


def close_inputs(width: int, seed: int, distance: float) -> Tensor:
    """An input of norm ``√width`` and another at ``distance·√width`` from it: ``(width, 2)``, float64."""
    first, direction = two_inputs(width, seed).unbind(1)
    return torch.stack([first, first + distance * direction], dim=1)
