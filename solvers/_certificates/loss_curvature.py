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
    """The derivatives of a loss at a point.

    Attributes:
        v: ``∂ℓ/∂x``.
        direct: ``∂ℓ/∂θ`` as vectors, by the ``id`` of the leaf.
        leaves: the leaves that the loss depends on besides x.
    """

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
    """A cotangent as a multiple of the one of a known loss.

    Attributes:
        factor: the multiple.
        distance: between the cotangent and that multiple.
        size: norm of the cotangent.
        tolerance: fraction of ``size`` that rounding may cause.
    """

    factor: float
    distance: float
    size: float
    tolerance: float

    def within(self, fraction: float) -> bool:
        """Whether ``distance`` is at most this fraction of ``size``."""
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
    """Return the constants that a loss states, or estimate them from its derivatives at ``y`` and ``y + towards``.

    Estimates are ``SAFETY`` times the observed difference quotient.

    Args:
        loss: the loss.
        y, derivatives: a point, and the derivatives of the loss there.
        towards: a step from ``y``.

    Raises:
        ValueError: a stated constant is negative or nan.
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
        norm(shifted.direct[key] - h) if key in shifted.direct else norm(h)
        for key, h in derivatives.direct.items()
    ]
    return LossCurvature(
        SAFETY * norm(shifted.v - derivatives.v) / step, SAFETY * math.hypot(*changes) / step, why
    )


def assumed_curvature(y: Tensor, v: Tensor) -> LossCurvature:
    """Return the default if no loss is given: that of a squared error with signal-to-error ratio ``SIGNAL``."""
    return LossCurvature(
        SIGNAL * norm(v) / (norm(y) or 1), 0.0, "no loss was given, so its curvature was assumed"
    )


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
