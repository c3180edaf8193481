"""Activations of the two-layer generator, and the constants of them that enter the theory."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

F64 = torch.float64


@dataclass(frozen=True, slots=True)
class Activation:
    """A smooth activation φ, applied to each entry.

    Attributes:
        name: name printed in tables.
        value, slope: φ and φ′.
        value_and_slope: φ and φ′ at once, which shares their common terms.
        curvature: ``B = sup|φ″|``.
    """

    name: str
    value: Callable[[Tensor], Tensor]
    slope: Callable[[Tensor], Tensor]
    value_and_slope: Callable[[Tensor], tuple[Tensor, Tensor]]
    curvature: float


def _tanh(z: Tensor) -> tuple[Tensor, Tensor]:
    value = torch.tanh(z)
    return value, torch.addcmul(torch.ones_like(value[..., :1]), value, value, value=-1)


TANH = Activation("tanh", torch.tanh, lambda z: _tanh(z)[1], _tanh, 4 / (3 * math.sqrt(3)))
SOFTPLUS = Activation(
    "softplus", functional.softplus, torch.sigmoid, lambda z: (functional.softplus(z), torch.sigmoid(z)), 0.25
)


def mean_square_slope(activation: Activation, nodes: int = 201) -> float:
    """``C² = E φ′(g)²`` for a standard normal g, by Gauss–Hermite quadrature."""
    x, w = np.polynomial.hermite_e.hermegauss(nodes)
    slopes = activation.slope(torch.as_tensor(x, dtype=F64)).numpy()
    return float((w * slopes**2).sum() / w.sum())
