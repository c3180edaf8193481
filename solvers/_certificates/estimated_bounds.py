"""Derivative bounds estimated from observed derivatives, with a safety factor. They prove nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from .._core.batch import norm
from .._core.maps import Map
from .derivative_bounds import DerivativeChange
from .products import TapedMap, pullback, taped

SAFETY = 2.0
"""Factor of the observed ``1/(1−L)``, ``‖B‖``, and every change of a derivative."""


@dataclass(slots=True)
class CountedProducts:
    """Products with J and B, the derivative in ``leaves``, that run no hooks; and counts of them."""

    leaves: Sequence[Tensor]
    applications: int = 0
    products: int = 0

    def at(self, T: Map, x: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``J(x)ᵀu`` of the shape of x, and ``B(x)ᵀu`` as one vector, by a new tape."""
        self.applications += 1
        return self.through(taped(T, x), u)

    def through(self, tape: TapedMap, u: Tensor) -> tuple[Tensor, Tensor]:
        """Return the same by the tape of ``y = T(x)``, which is retained."""
        self.products += 1
        a, *B = pullback(tape, self.leaves, u)
        return a, flat(B, u)


@dataclass(frozen=True, slots=True)
class EstimatedBounds:
    """Derivative bounds estimated from what was observed of a map.

    Attributes:
        T: the map.
        products: products with its derivatives.
        J_norm: the largest ``‖J(x)ᵀw‖/‖w‖`` observed.
        B_norm: the largest ``‖B(x)ᵀw‖/‖w‖`` observed, or an estimate of the Frobenius norm of B.
        towards: the direction in which the equilibrium is presumed to lie, ``T(x) − x``.
    """

    T: Map = field(repr=False)
    products: CountedProducts = field(repr=False)
    J_norm: float
    B_norm: float
    towards: Tensor = field(repr=False)

    @property
    def rigorous(self) -> bool:
        return False

    @property
    def L(self) -> float:
        """``J_norm``, moved towards 1 so that ``1/(1−L)`` is ``SAFETY`` times as large."""
        return 1 - (1 - self.J_norm) / SAFETY if self.J_norm < 1 else self.J_norm

    def change(self, x: Tensor, u: Tensor, radius: float) -> DerivativeChange:
        """Return ``SAFETY`` times the change over ``radius`` towards the equilibrium: two applications and products."""
        length = norm(self.towards)
        if not radius or not length:
            return DerivativeChange(0.0, 0.0, SAFETY * self.B_norm)
        center = self.products.at(self.T, x, u)
        shifted = self.products.at(self.T, x + self.towards * (radius / length), u)
        J, B = (SAFETY * norm(b - a) for a, b in zip(center, shifted, strict=True))
        return DerivativeChange(J, B, SAFETY * self.B_norm)


def probe_B_norm(products: CountedProducts, tape: TapedMap) -> float:
    """Return ``‖B(x)ᵀz‖`` for a fixed random z of unit variance: in the mean square, the Frobenius norm of B."""
    x = tape.x
    z = torch.randn(x.shape, generator=torch.Generator().manual_seed(0), dtype=x.dtype).to(x.device)
    return norm(products.through(tape, z)[1])


def flat(tensors: Sequence[Tensor], like: Tensor) -> Tensor:
    """Return all entries as one real vector, complex entries as pairs; empty without tensors."""
    parts = [
        torch.view_as_real(t.resolve_conj()).flatten() if t.is_complex() else t.flatten() for t in tensors
    ]
    empty = like.real.new_zeros(0) if like.is_complex() else like.new_zeros(0)
    return torch.cat(parts) if parts else empty
