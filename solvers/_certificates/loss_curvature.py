"""Lipschitz constants of the gradient of a loss: stated, estimated, or assumed."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .._core.batch import inner, norm, rows
from .._core.maps import Loss
from .._core.tape import tape_ends
from .derivative_bounds import Smooth, checked_bound, why_uncovered
from .estimated_bounds import SAFETY, flat
from .products import pullback, taped

SIGNAL = 100.0
"""Assumed ratio of the norms of a reconstruction and of its error (40 dB), if no loss is given."""
ROUNDED = 100.0
"""Two cotangents of the same loss may differ by this many units of rounding of their dtype."""
COVER = "give it SmoothLoss(…, parameters=[…]), the leaves that direct is meant for"


@dataclass(frozen=True, slots=True)
class LossDerivatives:
    """``v = ∂ℓ/∂x`` at a point; ``direct``, ∂ℓ/∂θ as vectors by the ``id`` of their leaf; and these ``leaves``."""

    v: Tensor
    direct: dict[int, Tensor]
    leaves: tuple[Tensor, ...] = ()


@dataclass(frozen=True, slots=True)
class LossCurvature:
    """Lipschitz constants Λ of ``∂ℓ/∂x`` and H of ``∂ℓ/∂θ`` in x; ``why`` they are no bounds, empty if they are."""

    smoothness: float
    direct: float = 0.0
    why: str = ""


@dataclass(frozen=True, slots=True)
class Multiple:
    """A cotangent of norm ``size`` as the multiple ``factor`` of a known one, at a ``distance`` from it.

    Rounding may cause a distance of ``tolerance · size``.
    """

    factor: float
    distance: float
    size: float
    tolerance: float

    def within(self, fraction: float) -> bool:
        return self.distance <= fraction * self.size

    @property
    def why(self) -> str:
        """Why the cotangent may belong to another loss; empty if nothing suggests it."""
        if not self.size:
            return "the cotangent is zero, which does not tell what loss it is of"
        if self.within(self.tolerance):
            return ""
        return f"the cotangent differs by {self.distance / self.size:.1e} from the one of the loss that was given"


def loss_derivatives(loss: Loss, y: Tensor) -> LossDerivatives:
    """Return the derivatives of ``loss`` at ``y``, without running hooks on parameters."""
    tape = taped(loss, y)
    leaves = tape_ends(tape.y, start=tape.x).leaves
    if not tape.y.requires_grad:
        return LossDerivatives(torch.zeros_like(tape.x).detach(), {})
    v, *h = pullback(tape, leaves, torch.ones_like(tape.y))
    direct = {id(leaf): flat([part], part) for leaf, part in zip(leaves, h, strict=True)}
    return LossDerivatives(v, direct, leaves)


def loss_curvature(loss: Loss, y: Tensor, derivatives: LossDerivatives, towards: Tensor) -> LossCurvature:
    """Return the constants that a loss states, or ``SAFETY`` times its difference quotients from y to y + towards.

    ``derivatives`` are those at y. A stated constant that is negative or nan raises ``ValueError``.
    """
    if isinstance(loss, Smooth):
        smoothness = checked_bound("smoothness", loss.smoothness)
        direct = checked_bound("direct", loss.direct)
        return LossCurvature(smoothness, direct, why_uncovered(loss, derivatives.leaves, "the loss", COVER))
    why, step = "the constants of the loss are estimates", norm(towards)
    if not step:
        return LossCurvature(0.0, 0.0, why)
    shifted = loss_derivatives(loss, y + towards)
    changes = [
        norm(h - shifted.direct[leaf] if leaf in shifted.direct else h)
        for leaf, h in derivatives.direct.items()
    ]
    smoothness = SAFETY * norm(shifted.v - derivatives.v) / step
    return LossCurvature(smoothness, SAFETY * math.hypot(*changes) / step, why)


def assumed_curvature(y: Tensor, v: Tensor) -> LossCurvature:
    """Return the default if no loss is given: that of a squared error with signal-to-error ratio ``SIGNAL``."""
    smoothness = SIGNAL * norm(v) / (norm(y) or 1)
    return LossCurvature(smoothness, 0.0, "no loss was given, so its curvature was assumed")


def as_multiple(v: Tensor, known: Tensor) -> Multiple:
    """Return ``v`` as a multiple of ``known``, by least squares."""
    size, scale, tolerance = norm(v), norm(known), ROUNDED * torch.finfo(v.dtype).eps
    if v.shape == known.shape and torch.equal(v, known):
        return Multiple(1.0, 0.0, size, tolerance)
    if not scale:
        return Multiple(0.0, size, size, tolerance)
    vector, unit = rows(v).double(), rows(known).double() / scale
    factor = inner(vector, unit)
    return Multiple(factor / scale, norm(vector - factor * unit), size, tolerance)
