"""An interval that contains the loss at the equilibrium, from quantities of one backward pass.

With the applications ``y_k = T(x_k)`` on a tape, their cotangents ``u_k``, ``a_k = J(x_k)ᵀu_k``, the value y at which
the loss was taken, ``v = ∇ℓ(y)``, and ``ϱ = v + Σ (a_k − u_k)``, all as in ``bound``:

    |ℓ(x*) − ℓ(y) − Σ (a_kᵀ(y − x_k) − u_kᵀ(y − y_k))| ≤ ‖ϱ‖ e + Σ ΔJ_k e_k + Λ/2 e²,

where ``e ≥ ‖x* − y‖``, ``e_k ≥ ‖x* − x_k‖``, and ``ΔJ_k`` bounds ``‖(J(x) − J(x_k))ᵀu_k‖`` for all x within ``e_k`` of
``x_k``. For a single application, ``y = T(x)``, the sum is ``aᵀ(T(x) − x)``: the dual-weighted residual, of second
order in the distance but for ΔJ and ϱ.

Proof: ``x* − y_k = T(x*) − T(x_k) = ∫J (x* − x_k)`` over the segment, so ``u_kᵀ(x* − y_k) = a_kᵀ(x* − x_k) + R_k`` with
``|R_k| ≤ ΔJ_k e_k``. With ``d = x* − y``, ``x* − y_k = d + y − y_k`` and ``x* − x_k = d + y − x_k``, the sum over k is
``(Σ u_k − a_k)ᵀd = Σ (a_kᵀ(y − x_k) − u_kᵀ(y − y_k) + R_k)``, and its left-hand side is ``(v − ϱ)ᵀd``. Finally
``|ℓ(x*) − ℓ(y) − vᵀd| ≤ Λ/2 ‖d‖²``.

The segment lies in the ball, and T is absolutely continuous on it, so kinks do no harm. Rounding of T enlarges
distances and balls as in ``bound``; that of ``y_k`` enters the sum through ``u_k`` and ``a_k``, and products and the
loss are allowed ``ROUNDING`` units of theirs.

T may state a sharper bound on R_k, see ``HasRemainder``: at a kink only the part of the segment behind it counts.

Source: Becker & Rannacher, *An optimal control approach to a posteriori error estimation* (2001), for the dual-weighted
residual; the rigorous remainder is this project's own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from .._core.batch import inner, norm
from .bound import (
    ROUNDING,
    cotangents_of,
    estimated_rounding,
    reasons_for_estimate,
    rounding_allowances,
)
from .derivative_bounds import DerivativeBounds, checked_bound, checked_change
from .tape_recorder import TapedApplication, last_backward_pass


@dataclass(frozen=True, slots=True)
class LossEnclosure:
    """``|ℓ(x*) − value| ≤ radius``.

    Attributes:
        value: the estimate of ``ℓ(x*)``, which the dual-weighted residual has corrected.
        residual: ``‖ϱ‖ e``, the part of the adjoint equation.
        jacobian: ``Σ ΔJ_k e_k``, the part of the change of J.
        smoothness: ``Λ/2 e²``, the part of the loss.
        rounding: the part of rounding.
        distance: e, a bound on the distance of the value y to the equilibrium.
        rigorous: whether every constant is a proven bound.
        why: why there is no enclosure, or why it is an estimate; empty if it is rigorous.
    """

    value: float
    residual: float
    jacobian: float
    smoothness: float
    rounding: float = 0.0
    distance: float = math.nan
    rigorous: bool = False
    why: str = ""

    @property
    def radius(self) -> float:
        """Half the width; infinite without an enclosure."""
        return self.residual + self.jacobian + self.smoothness + self.rounding

    @property
    def lower(self) -> float:
        """A lower bound on ``ℓ(x*)``."""
        return self.value - self.radius

    @property
    def upper(self) -> float:
        """An upper bound on ``ℓ(x*)``."""
        return self.value + self.radius


@runtime_checkable
class HasRemainder(Protocol):
    """Derivative bounds with a sharper bound on ``R_k`` than ``ΔJ_k e_k``."""

    def remainder(self, x: Tensor, u: Tensor, radius: float) -> float:
        """Bound ``|uᵀ(T(x') − T(x)) − aᵀ(x' − x)|`` for all x' within ``radius`` of x, with a as computed."""
        ...


def loss_enclosure(
    taped: Sequence[TapedApplication],
    y: Tensor,
    value: float,
    v: Tensor,
    regularity: DerivativeBounds,
    smoothness: float,
    why: str = "",
) -> LossEnclosure:
    """Return the enclosure of ``ℓ(x*)`` from one backward pass.

    Args:
        taped: ``TapeRecorder.taped``, after ``backward()``.
        y: the value at which the loss was taken.
        value, v: ``ℓ(y)``, and ``∂ℓ/∂x`` there, of the shape of y.
        regularity: derivative bounds of T.
        smoothness: Λ, the Lipschitz constant of ``∂ℓ/∂x``.
        why: why ``smoothness`` is no proven bound; empty if it is.

    Returns:
        The enclosure; infinite if L is not below 1, or something is not finite.

    Raises:
        ValueError: there was no backward pass yet, or a constant is negative or nan.
    """
    checked_bound("smoothness", smoothness)
    applications = last_backward_pass(taped)
    if not applications:
        raise ValueError("no cotangent has passed: call backward() before the enclosure")
    y, v, L = y.detach(), v.detach(), regularity.L
    if not L < 1:
        return LossEnclosure(value, math.inf, math.inf, math.inf, why=f"L = {L:.6g} is not below 1")
    inverse = 1 / (1 - checked_bound("L in the derivative bounds of T", L))
    cotangents = [cotangents_of(application) for application in applications]
    if not math.isfinite(value) or not all(
        bool(t.isfinite().all()) for t in (y, v, *(t for pair in cotangents for t in pair))
    ):
        return LossEnclosure(value, math.inf, math.inf, math.inf, why="the loss or a cotangent is not finite")
    products_rounding = estimated_rounding(applications, regularity)
    allowances = rounding_allowances(applications, regularity, products_rounding)
    eps = ROUNDING * max(torch.finfo(y.dtype).eps, products_rounding.J)
    residual = v.clone()
    # A loss is computed from values that have rounded off, and so is each inner product.
    correction, jacobian, rounding = 0.0, 0.0, eps * (abs(value) + norm(v) * norm(y))
    v_and_u_sum = norm(v)
    distance_before = nearest = math.inf
    y_before, rho_before = y, 0.0
    for application, (u, a), rho in zip(applications, cotangents, allowances, strict=True):
        x, image = application.x, application.y
        distance = inverse * (norm(image - x) + rho)
        if distance_before < math.inf:
            distance = min(distance, L * distance_before + rho_before + norm(x - y_before))
        change = checked_change(regularity, x, u, distance + (rho / L if L else rho))
        jacobian += _remainder(regularity, x, u, distance, rho, change.J)
        correction += inner(a, y - x) - inner(u, y - image)
        residual += a - u
        v_and_u_sum += norm(u)
        # Of T(x_k), which stands for y_k in the proof, of the product a, and of the inner products.
        rounding += norm(u) * rho + eps * norm(u) * (distance + norm(y - x) + norm(y - image))
        nearest = min(nearest, L * distance + rho + norm(y - image))
        distance_before, y_before, rho_before = distance, image, rho
    adjoint = (norm(residual) + eps * v_and_u_sum) * nearest
    curved = smoothness / 2 * nearest**2
    reasons = [why, *reasons_for_estimate(applications, regularity, y.dtype)]
    text = "; ".join(filter(None, reasons))
    return LossEnclosure(value + correction, adjoint, jacobian, curved, rounding, nearest, not text, text)


def _remainder(
    regularity: DerivativeBounds, x: Tensor, u: Tensor, distance: float, rho: float, change: float
) -> float:
    """A bound on ``R_k``: the stated one if it is smaller."""
    integrated = change * distance
    if not isinstance(regularity, HasRemainder):
        return integrated
    radius = distance + (rho / regularity.L if regularity.L else rho)
    return min(
        integrated,
        checked_bound("remainder in the derivative bounds of T", regularity.remainder(x, u, radius)),
    )
