"""An upper bound on the error of a gradient at equilibrium, from quantities of its own backward pass.

Let ``y_k = T(x_k)`` be the applications on the tape, ``u_k`` the cotangents that reached them, ``a_k = J(x_k)ᵀu_k``,
``v = ∇ℓ(y)`` at the returned value y, and ``ϱ = v + Σ (a_k − u_k)``: the last cotangent ``(Jᵀ)^K v`` of a truncated
series, or the residual of an adjoint solve. With ``e_k ≥ ‖x_k − x*‖``, ``e ≥ ‖y − x*‖`` and ``b ≥ ‖B(x*)‖``,

    ‖g − F'‖ ≤ b/(1−L) ‖ϱ‖  +  H e + Σ ΔB_k + b/(1−L) (Λ e + Σ ΔJ_k),

where ``ΔJ_k`` and ``ΔB_k`` bound ``‖(J(x*) − J(x_k))ᵀu_k‖`` and ``‖(B(x*) − B(x_k))ᵀu_k‖``; see ``DerivativeBounds``.
In place of ``b/(1−L)`` stands a smaller bound on ``‖B*ᵀ(I − J*ᵀ)⁻¹‖`` where T states one, ``DerivativeChange.gain``.
Proof: with ``J_k = J(x_k)``, ``J* = J(x*)``, and B alike,
``(I − J*ᵀ)(Σu_k − u*) = Σ(J_k − J*)ᵀu_k + (v − v*) − ϱ``, and ``g − F' = h − h* + Σ(B_k − B*)ᵀu_k + B*ᵀ(Σu_k − u*)``.

The proof uses only that the gradient is ``h + Σ B(x_k)ᵀu_k``. So the bound holds for truncated tapes (B1 of the
project's theory page), for every adjoint solver (S6 and B3), and for any other algorithm that applies T on a tape.

Radius: a contraction has ``‖x_k − x*‖ ≤ (‖y_k − x_k‖ + ρ_k)/(1−L)``, where ρ_k bounds the rounding of ``y_k``. From
the application before, ``e_k ≤ L e_{k−1} + ρ_{k−1} + ‖x_k − y_{k−1}‖``, which is smaller once rounding dominates the
residual. The smaller of the two is used, or the ``distance`` that T states, if that is smaller still.

Rounding: ``ρ_k ≥ ‖fl(T)(x_k) − T(x_k)‖`` is stated by the derivative bounds, or estimated (see ``rounding``). It
enlarges the distances. It also enlarges the ball of ``ΔJ_k`` and ``ΔB_k``, by ρ_k/L: the computed application may be
on another side of a kink than ``T(x_k)``, as T is at a point that far away. A product ``Jᵀu`` is allowed ``ROUNDING``
units of rounding of ``‖u‖``, and ``Bᵀu`` of ``b ‖u‖``; or ``ROUNDING`` times their estimated rounding, if larger.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from .._core.batch import norm
from .._core.certificate import Certificate
from .derivative_bounds import (
    DerivativeBounds,
    checked_bound,
    checked_change,
    stated_distance,
    stated_rounding,
    states_rounding,
    why_uncovered,
)
from .estimated_bounds import CountedProducts
from .products import taped as taped_map
from .rounding import Rounding, estimate_rounding
from .tape_recorder import TapedApplication, last_backward_pass

ROUNDING = 10.0
"""Allowance for the rounding of an application or a product: this many units of rounding, or times its estimate."""
COVER = "give its regularity parameters=[…], the leaves that its B is the derivative in"
CHANGED_PARAMETER = "a parameter of T was changed in place after the solve: call backward() before the step"


def certificate(
    taped: Sequence[TapedApplication],
    y: Tensor,
    v: Tensor,
    regularity: DerivativeBounds,
    smoothness: float,
    direct: float = 0.0,
    size: float = math.nan,
) -> Certificate:
    """Return the certificate of the gradient of one backward pass.

    Args:
        taped: ``TapeRecorder.taped``, after ``backward()``.
        y: the value at which the loss was taken.
        v: ``∂ℓ/∂x`` there, of the shape of y.
        regularity: derivative bounds of T.
        smoothness: Λ, the Lipschitz constant of ``∂ℓ/∂x``.
        direct: H, the Lipschitz constant of ``∂ℓ/∂θ``; 0 if the loss depends on the parameters through x alone.
        size: ``‖g‖``, for the relative bound.

    Returns:
        The certificate; its parts are infinite if L is not below 1, or something is not finite.

    Raises:
        ValueError: nothing was recorded, there was no backward pass yet, or a constant is negative or nan.

    Source: Ehrhardt & Roberts (arXiv 2301.04764) for a-posteriori bounds of hypergradients; this form is the
    project's own.
    """
    checked_bound("smoothness", smoothness)
    checked_bound("direct", direct)
    if not taped:
        raise ValueError(
            "nothing was taped: solve with the TapeRecorder in place of T, and with gradients enabled"
        )
    applications = last_backward_pass(taped)
    if not applications:
        raise ValueError("no cotangent has passed: call backward() before the certificate")
    y, v, L = y.detach(), v.detach(), regularity.L
    if not L < 1:
        return no_certificate(f"L = {L:.6g} is not below 1", L, size)
    inverse = 1 / (1 - checked_bound("L in the derivative bounds of T", L))
    cotangents = [cotangents_of(application) for application in applications]
    tensors = (y, v, *(t for pair in cotangents for t in pair))
    if math.isinf(size) or not all(bool(t.isfinite().all()) for t in tensors):
        return no_certificate("the value, its cotangent or the gradient is not finite", L, size)
    products_rounding = estimated_rounding(applications, regularity)
    allowances = rounding_allowances(applications, regularity, products_rounding)
    eps = torch.finfo(y.dtype).eps
    residual, change_J, change_B = v.clone(), 0.0, 0.0
    b = gain = distance_before = nearest = math.inf
    y_before, rho_before = y, 0.0
    u_sum = 0.0
    v_and_u_sum = norm(v)
    for application, (u, a), rho in zip(applications, cotangents, allowances, strict=True):
        moved = norm(application.y - application.x)
        distance = min(inverse * (moved + rho), stated_distance(regularity, application.x, moved))
        if distance_before < math.inf:
            distance = min(distance, L * distance_before + rho_before + norm(application.x - y_before))
        change = checked_change(regularity, application.x, u, distance + (rho / L if L else rho))
        change_J, change_B = change_J + change.J, change_B + change.B
        b, gain = min(b, change.size), min(gain, change.gain)
        residual += a - u
        v_and_u_sum, u_sum = v_and_u_sum + norm(u), u_sum + norm(u)
        nearest = min(nearest, L * distance + rho + norm(y - application.y))
        distance_before, y_before, rho_before = distance, application.y, rho
    amplification = min(b * inverse, gain)
    adjoint = amplification * (norm(residual) + ROUNDING * max(eps, products_rounding.J) * v_and_u_sum)
    adjoint += ROUNDING * max(eps * b, products_rounding.B) * u_sum
    equilibrium = direct * nearest + change_B + amplification * (smoothness * nearest + change_J)
    bound = Certificate(size, adjoint, equilibrium, 0.0, amplification, nearest, L, True)
    return bound.estimate(*reasons_for_estimate(applications, regularity, y.dtype))


def no_certificate(why: str, L: float = math.nan, size: float = math.nan) -> Certificate:
    """Return a certificate with an infinite error."""
    return Certificate(size, math.inf, math.inf, 0.0, math.inf, math.inf, L, False, why)


def cotangents_of(application: TapedApplication) -> tuple[Tensor, Tensor]:
    """Return u and a; compute a by another application if the backward pass left it out."""
    assert application.u is not None
    if application.a is not None:
        return application.u, application.a
    if application.map is None:
        raise ValueError(
            "the backward pass did not go on to the points: use backward(), torch.autograd.grad leaves them out"
        )
    if application.parameters_changed:
        raise ValueError(CHANGED_PARAMETER)
    tape = taped_map(application.map, application.x)
    return application.u, CountedProducts([]).through(tape, application.u)[0]


def estimated_rounding(applications: Sequence[TapedApplication], regularity: DerivativeBounds) -> Rounding:
    """Estimate the rounding at the last application; 0 if it is stated, or the bounds are no proof anyway."""
    last = applications[-1]
    if not regularity.rigorous or states_rounding(regularity):
        return Rounding()
    if last.rounding is not None:
        return last.rounding
    if last.map is None or last.u is None or last.parameters_changed:
        return Rounding()
    return estimate_rounding(last.map, taped_map(last.map, last.x), last.leaves or (), last.u)


def rounding_allowances(
    applications: Sequence[TapedApplication], regularity: DerivativeBounds, estimated: Rounding
) -> list[float]:
    """Return ρ_k for each application."""
    eps = torch.finfo(applications[-1].y.dtype).eps
    stated = [stated_rounding(regularity, application.x) for application in applications]
    if all(rounding is not None for rounding in stated):
        return [rounding for rounding in stated if rounding is not None]
    sizes = [norm(application.y) for application in applications]
    # The last application is estimated and stands for all; larger values round off proportionally more.
    rho = max(eps * sizes[-1], estimated.value)
    return [ROUNDING * rho * max(1.0, size / (sizes[-1] or 1)) for size in sizes]


def reasons_for_estimate(
    applications: Sequence[TapedApplication], regularity: DerivativeBounds, dtype: torch.dtype
) -> list[str]:
    if not regularity.rigorous:
        return ["the constants of T are estimates"]
    unknown = any(application.leaves is None for application in applications)
    leaves = {id(leaf): leaf for application in applications for leaf in application.leaves or ()}
    reasons = [why_uncovered(regularity, None if unknown else list(leaves.values()), "T", COVER)]
    if not states_rounding(regularity) and torch.finfo(dtype).eps > torch.finfo(torch.float64).eps:
        name = str(dtype).removeprefix("torch.")
        reasons.append(
            f"the rounding of T in {name} is not bounded: give its regularity a rounding(x), or use float64"
        )
    if any(application.parameters_changed for application in applications):
        reasons.append(CHANGED_PARAMETER)
    return reasons
