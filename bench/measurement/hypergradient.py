"""The float64 reference gradient, with a bound or an estimate of its error."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor, float64

from solvers import HasDerivativeBounds, Map

from .implicit_gradient import (
    TOLERANCE,
    ImplicitGradient,
    NoReference,
    find_fixed_point,
    implicit_gradient_at,
)
from .reference_error import Basis, gradient_error
from .stability import destination, spectral_radius

WORST = 1e-2
"""Largest relative error of a gradient that is accepted as a reference."""

__all__ = ["TOLERANCE", "NoReference", "ReferenceGradient", "reference_gradient"]


@dataclass(frozen=True, slots=True)
class ReferenceGradient:
    """``∂ℓ/∂θ + Bᵀu`` with ``(I − Jᵀ)u = v`` at ``x = T(x)``, an equilibrium where plain iteration arrives and stays.

    Attributes:
        gradient: in all parameters, flattened, float64.
        residual: ``‖T(x) − x‖ / ‖T(x)‖``, the largest over the batch.
        adjoint_residual: ``‖v + Jᵀu − u‖ / ‖v‖`` over the whole batch.
        error: relative error of the gradient.
        basis: ``certificate``: ``error`` is a proven bound. ``estimate``: ``error`` is how far the gradient moves if
            the equilibrium and the adjoint are corrected by ``(I − J)⁻¹`` times their residuals and the rounding of an
            application; never less than either residual.
        radius: spectral radius of J, measured from below; NaN if T is known to be nonexpansive.
    """

    gradient: Tensor
    residual: float
    adjoint_residual: float
    error: float = math.nan
    basis: Basis = "estimate"
    radius: float = math.nan


def reference_gradient(
    T: Map,
    parameters: Sequence[Tensor],
    x0: Tensor,
    loss: Callable[[Tensor], Tensor],
    budget: int = 3000,
) -> ReferenceGradient:
    """Compute the gradient of ``loss(x*)`` by the implicit function theorem, at the equilibrium of plain iteration.

    Anderson acceleration finds an equilibrium, and Newton steps refine it to the accuracy of float64. Unless T is known
    to be nonexpansive, plain iteration from ``x0`` must arrive there too (else its own equilibrium is taken), and the
    spectral radius of J must be below 1. Both residuals are measured afresh.

    Args:
        T: the map, in float64.
        parameters: tensors to differentiate in.
        x0: start; if one-dimensional, a single sample.
        loss: scalar function of the equilibrium; it may depend on the parameters too.
        budget: applications, and vector–Jacobian products, of each solve at most.

    Raises:
        NoReference: a residual is above ``TOLERANCE``, plain iteration does not settle or is repelled, or the error
            may be above ``WORST``.
        TypeError: ``x0`` is not float64.
    """
    if x0.dtype != float64:
        raise TypeError(f"the oracle works in float64, not {x0.dtype}")
    x0 = x0.detach()
    bounds = T.regularity() if isinstance(T, HasDerivativeBounds) else None
    nonexpansive = bounds is not None and bounds.rigorous and bounds.L <= 1 + 1e-9  # L is rounded up
    x, residual = find_fixed_point(T, x0, budget)
    if not nonexpansive:
        x = _plain_equilibrium(T, x0, x if residual <= TOLERANCE else None, budget)
    solution = implicit_gradient_at(T, x, loss, parameters, budget)
    radius = math.nan
    if not nonexpansive:
        radius = _radius(solution)
        if radius >= 1:  # x may be a saddle that plain iteration only passes
            x = _plain_equilibrium(T, x0, None, budget)
            solution = implicit_gradient_at(T, x, loss, parameters, budget)
            radius = _radius(solution)
        if not radius < 1:
            raise NoReference(f"plain iteration does not stay: the spectral radius of J is {radius:.6g}")
    error, basis = gradient_error(solution, bounds)
    if not error <= WORST:
        raise NoReference(f"the relative error of the gradient may be {error:.1e}: I − J is nearly singular")
    return ReferenceGradient(
        solution.gradient, solution.residual, solution.adjoint_residual, error, basis, radius
    )


def _radius(solution: ImplicitGradient) -> float:
    return spectral_radius(solution.point.vjp, solution.point.x)


def _plain_equilibrium(T: Map, x0: Tensor, x: Tensor | None, budget: int) -> Tensor:
    """Return x if plain iteration from ``x0`` goes there, else the equilibrium where it settles."""
    end = destination(T, x0, x, budget)
    if end is None:
        raise NoReference(f"plain iteration settles nowhere in {budget} applications")
    if x is not None and end is x:
        return x
    refined, _ = find_fixed_point(T, end, budget)
    if not float((refined - end).norm()) <= 1e-3 * float(end.norm()):
        raise NoReference(
            "plain iteration does not stay: Anderson acceleration leads elsewhere from where it settles"
        )
    return refined
