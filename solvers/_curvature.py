"""How fast the gradient of a loss changes: known, seen, or assumed."""

# The types of torch.autograd are partial.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ._core import Loss
from ._observed import SAFETY, leaves
from ._regularity import Smooth
from .certificate import norm

SIGNAL = 100.0
"""A reconstruction is at most this many times larger than its error, where no loss was given: 40 dB."""


@dataclass(frozen=True, slots=True)
class Slope:
    """The derivatives of a loss at a point.

    Attributes:
        v: ``∂ℓ/∂x``.
        direct: ``∂ℓ/∂θ``, flattened, by the identity of its leaf.
    """

    v: Tensor
    direct: dict[int, Tensor]


@dataclass(frozen=True, slots=True)
class Curvature:
    """Λ and H: Lipschitz constants in x of ``∂ℓ/∂x`` and ``∂ℓ/∂θ``; and why they are no bounds, empty if they are."""

    smoothness: float
    direct: float = 0.0
    why: str = ""


def slope(loss: Loss, y: Tensor) -> Slope:
    """The derivatives of ``loss`` at ``y``."""
    at = y.detach().requires_grad_()
    with torch.enable_grad():
        value = loss(at)
    found = [leaf for leaf in leaves(value) if leaf is not at]
    v, *h = torch.autograd.grad(value, [at, *found], allow_unused=True, materialize_grads=True)
    return Slope(v, {id(leaf): part.flatten() for leaf, part in zip(found, h, strict=True)})


def curvature(loss: Loss, y: Tensor, here: Slope, towards: Tensor) -> Curvature:
    """The constants that a loss knows of itself, or twice what was seen between ``y`` and ``y + towards``."""
    if isinstance(loss, Smooth):
        return Curvature(loss.smoothness, loss.direct)
    why, step = "the constants of the loss are estimates", norm(towards)
    if not step:
        return Curvature(0.0, 0.0, why)
    there = slope(loss, y + towards)
    moved = [
        norm(there.direct[key] - h) if key in there.direct else norm(h) for key, h in here.direct.items()
    ]
    return Curvature(SAFETY * norm(there.v - here.v) / step, SAFETY * math.hypot(*moved) / step, why)


def multiple(v: Tensor, known: Tensor, within: float) -> float | None:
    """The factor by which ``v`` is ``known``; ``None`` where, relatively, it is off every multiple by more."""
    v, known = v.flatten(), known.flatten()
    square = float(torch.vdot(known, known))
    factor = float(torch.vdot(v, known)) / square if square else 0.0
    return factor if norm(v - factor * known) <= within * norm(v) else None


def assumed(y: Tensor, v: Tensor) -> Curvature:
    """Where nobody told the loss: that of a squared error whose image is ``SIGNAL`` times as large as its error."""
    return Curvature(
        SIGNAL * norm(v) / (norm(y) or 1), 0.0, "no loss was given, so its curvature was assumed"
    )
