"""How fast the gradient of a loss changes: known, seen, or assumed."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .._core.batch import inner, norm, rows
from .._core.maps import Loss
from .._core.tape import ends
from .derivative_bounds import Smooth, checked_bound, uncovered
from .estimated_bounds import SAFETY, flat
from .products import pull, taped

SIGNAL = 100.0
"""A reconstruction is at most this many times larger than its error, where no loss was given: 40 dB."""
ROUNDED = 100.0
"""Cotangents of one loss differ by this at most, in units of the rounding of their dtype."""
COVER = "give it SmoothLoss(…, parameters=[…]), the leaves that direct is meant for"


@dataclass(frozen=True, slots=True)
class LossDerivatives:
    """The derivatives of a loss at a point.

    Attributes:
        v: ``∂ℓ/∂x``.
        direct: ``∂ℓ/∂θ``, in a row, by the identity of its leaf.
        leaves: those that it sees besides x.
    """

    v: Tensor
    direct: dict[int, Tensor]
    leaves: tuple[Tensor, ...] = ()


@dataclass(frozen=True, slots=True)
class LossCurvature:
    """Λ and H: Lipschitz constants in x of ``∂ℓ/∂x`` and ``∂ℓ/∂θ``; and why they are no bounds, empty if they are."""

    smoothness: float
    direct: float = 0.0
    why: str = ""


@dataclass(frozen=True, slots=True)
class Multiple:
    """A cotangent as a multiple of another: the ``factor``, and how far it is ``apart`` from that multiple.

    Attributes:
        size: the norm of the cotangent.
        floor: the part of it that rounding may be.
    """

    factor: float
    apart: float
    size: float
    floor: float

    def within(self, share: float) -> bool:
        """Whether the two are no further apart than this share of the cotangent."""
        return self.apart <= share * self.size

    @property
    def why(self) -> str:
        """Why it may be the cotangent of another loss; empty where nothing speaks for that."""
        if not self.size:
            return "the cotangent is zero, which does not tell what loss it is of"
        if self.within(self.floor):
            return ""
        return f"the cotangent differs by {self.apart / self.size:.1e} from the one of the loss that was told"


def slope(loss: Loss, y: Tensor) -> LossDerivatives:
    """The derivatives of ``loss`` at ``y``; no hook of the user's sees them."""
    tape = taped(loss, y)
    found = ends(tape.y, start=tape.x).leaves
    if not tape.y.requires_grad:
        return LossDerivatives(torch.zeros_like(tape.x).detach(), {})
    v, *h = pull(tape, found, torch.ones_like(tape.y))
    direct = {id(leaf): flat([part], part) for leaf, part in zip(found, h, strict=True)}
    return LossDerivatives(v, direct, found)


def loss_curvature(loss: Loss, y: Tensor, here: LossDerivatives, towards: Tensor) -> LossCurvature:
    """The constants that a loss knows of itself, or twice what was seen between ``y`` and ``y + towards``.

    Raises:
        ValueError: a constant that the loss knows is negative or nan.
    """
    if isinstance(loss, Smooth):
        smoothness, direct = (
            checked_bound("smoothness", loss.smoothness),
            checked_bound("direct", loss.direct),
        )
        return LossCurvature(smoothness, direct, uncovered(loss, here.leaves, "the loss", COVER))
    why, step = "the constants of the loss are estimates", norm(towards)
    if not step:
        return LossCurvature(0.0, 0.0, why)
    there = slope(loss, y + towards)
    moved = [
        norm(there.direct[key] - h) if key in there.direct else norm(h) for key, h in here.direct.items()
    ]
    return LossCurvature(SAFETY * norm(there.v - here.v) / step, SAFETY * math.hypot(*moved) / step, why)


def multiple(v: Tensor, known: Tensor) -> Multiple:
    """``v`` as a multiple of ``known``, by least squares."""
    size, scale, floor = norm(v), norm(known), ROUNDED * torch.finfo(v.dtype).eps
    if v.shape == known.shape and torch.equal(v, known):
        return Multiple(1.0, 0.0, size, floor)
    if not scale:
        return Multiple(0.0, size, size, floor)
    given, unit = rows(v).double(), rows(known).double() / scale
    factor = inner(given, unit)
    return Multiple(factor / scale, norm(given - factor * unit), size, floor)


def assumed(y: Tensor, v: Tensor) -> LossCurvature:
    """Where nobody told the loss: that of a squared error whose image is ``SIGNAL`` times as large as its error."""
    return LossCurvature(
        SIGNAL * norm(v) / (norm(y) or 1), 0.0, "no loss was given, so its curvature was assumed"
    )
