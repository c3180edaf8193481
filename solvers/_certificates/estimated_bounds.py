"""Regularity by observation: what a map was seen to do, with a safety factor; an estimate, and never a proof."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from .._core.batch import norm
from .._core.maps import Map
from .derivative_bounds import DerivativeChange
from .products import TapedMap, pull, taped

SAFETY = 2.0
"""What was seen is multiplied by this: ``1/(1−L)``, ``‖B‖``, and every change of a derivative."""


@dataclass(slots=True)
class CountedProducts:
    """Products with the derivatives of a map, counted, which no hook of the user's sees.

    Attributes:
        leaves: the parameters that B is the derivative in.
        taped, made: applications of T and products so far.
    """

    leaves: Sequence[Tensor]
    taped: int = 0
    made: int = 0

    def at(self, T: Map, x: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
        """``J(x)ᵀu`` and ``B(x)ᵀu``, the latter in a row, through a new tape."""
        self.taped += 1
        return self.through(taped(T, x), u)

    def through(self, tape: TapedMap, u: Tensor) -> tuple[Tensor, Tensor]:
        """The same through the tape of ``y = T(x)``, which stays."""
        self.made += 1
        a, *B = pull(tape, self.leaves, u)
        return a, flat(B, u)


@dataclass(frozen=True, slots=True)
class EstimatedBounds:
    """Regularity from what was seen of a map.

    Attributes:
        T: the map.
        pulls: products with its derivatives.
        lipschitz: the largest ‖J(x)ᵀw‖/‖w‖ that was seen.
        parametric: the largest ‖B(x)ᵀw‖/‖w‖ that was seen, or a probe of the Frobenius norm.
        towards: a direction in which the equilibrium lies, as far as one can tell: ``T(x) − x``.
    """

    T: Map = field(repr=False)
    pulls: CountedProducts = field(repr=False)
    lipschitz: float
    parametric: float
    towards: Tensor = field(repr=False)

    @property
    def rigorous(self) -> bool:
        """False."""
        return False

    @property
    def L(self) -> float:
        """What was seen, half as far from 1."""
        return 1 - (1 - self.lipschitz) / SAFETY if self.lipschitz < 1 else self.lipschitz

    def change(self, x: Tensor, u: Tensor, radius: float) -> DerivativeChange:
        """Twice the change seen at ``radius`` from x, towards the equilibrium: two applications and two products."""
        length = norm(self.towards)
        if not radius or not length:
            return DerivativeChange(0.0, 0.0, SAFETY * self.parametric)
        here = self.pulls.at(self.T, x, u)
        there = self.pulls.at(self.T, x + self.towards * (radius / length), u)
        J, B = (SAFETY * norm(b - a) for a, b in zip(here, there, strict=True))
        return DerivativeChange(J, B, SAFETY * self.parametric)


def probe(pulls: CountedProducts, tape: TapedMap) -> float:
    """``‖B(x)ᵀz‖`` for a random z with unit variance: in the mean square, the Frobenius norm of B."""
    x = tape.x
    z = torch.randn(x.shape, generator=torch.Generator().manual_seed(0), dtype=x.dtype).to(x.device)
    return norm(pulls.through(tape, z)[1])


def flat(tensors: Sequence[Tensor], like: Tensor) -> Tensor:
    """All entries of ``tensors`` in a row, complex ones as pairs; none make an empty row."""
    parts = [
        torch.view_as_real(t.resolve_conj()).flatten() if t.is_complex() else t.flatten() for t in tensors
    ]
    empty = like.real.new_zeros(0) if like.is_complex() else like.new_zeros(0)
    return torch.cat(parts) if parts else empty
