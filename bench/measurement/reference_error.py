"""The error of a reference gradient: a proven bound where the map has one, else an estimate."""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from solvers import DerivativeBounds, Smooth

from .implicit_gradient import NOISE, ImplicitGradient, TapedPoint, solve_linear

SHARP = 1e-8
"""Largest relative bound that is preferred to an estimate; near kinks a bound may be far too large."""

Basis: TypeAlias = Literal["certificate", "estimate"]


def gradient_error(solution: ImplicitGradient, bounds: DerivativeBounds | None) -> tuple[float, Basis]:
    """The relative error of ``solution.gradient``, and how it is known."""
    loss = solution.point.loss
    if bounds is not None and bounds.rigorous and bounds.L < 1 and isinstance(loss, Smooth):
        covered = getattr(bounds, "parameters", None)
        if covered is not None and {id(p) for p in solution.point.parameters} <= {id(p) for p in covered}:
            size, bound = float(solution.gradient.norm()), _bound(solution, bounds, loss)
            if size > bound and bound <= SHARP * size:
                return bound / (size - bound), "certificate"
            if size == 0:
                return math.inf if bound else 0.0, "certificate"
    return _estimate(solution), "estimate"


def _bound(solution: ImplicitGradient, bounds: DerivativeBounds, loss: Smooth) -> float:
    """An absolute bound on the error; ``solvers._certificates.bound`` has the proof."""
    point, u = solution.point, solution.u
    x, y = point.x.detach(), point.y.detach()
    rounding = getattr(bounds, "rounding", None)
    inverse, eps = 1 / (1 - bounds.L), 10 * torch.finfo(torch.float64).eps
    application = rounding(x) if rounding else 10 * eps * float(y.norm())
    distance = inverse * (float((y - x).norm()) + application)
    change = bounds.change(x, u, distance)
    adjoint_gap = float(point.adjoint_gap(u).norm()) + eps * float(u.norm() + point.v.norm())
    moved = loss.smoothness * distance + change.J + adjoint_gap
    return loss.direct * distance + change.B + change.size * inverse * moved


def _estimate(solution: ImplicitGradient) -> float:
    """How far the gradient moves under corrections of the adjoint, at x and at a corrected equilibrium.

    Corrections of the adjoint count whether or not they shrink its residual: an adjoint that is solved to rounding
    cannot be refined, and still has the error of its residual.
    """
    point, u, gradient = solution.point, solution.u, solution.gradient
    with torch.no_grad():
        x = point.x + solve_linear(point.jvp, point.y - point.x + _rounding(point.y), 1e-2)
    gap = sum(
        float((p.gradient(u + _adjoint_correction(p, u)) - gradient).norm())
        for p in (point, point.moved_to(x))
        if p.v.any()
    )
    size = float(gradient.norm())
    if not size:
        return math.inf if gap else 0.0
    return max(gap / size, solution.residual, solution.adjoint_residual)


def _adjoint_correction(point: TapedPoint, u: Tensor) -> Tensor:
    """``(I − Jᵀ)⁻¹`` times the gap of the adjoint equation, and times the rounding of measuring that gap."""
    value = point.v + point.vjp(u)
    return solve_linear(point.vjp, value - u + _rounding(value), 1e-2)


def _rounding(y: Tensor) -> Tensor:
    """Rounding errors assumed in the result y of an application, with random signs of a fixed seed."""
    rng = torch.Generator().manual_seed(0)
    sign = torch.randint(0, 2, y.shape, generator=rng, dtype=torch.float64).to(y) * 2 - 1
    return NOISE * y.abs() * sign
