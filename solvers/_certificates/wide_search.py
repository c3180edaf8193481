"""Continue a certified search in float64, and certify the gradient in its own dtype by the one found there."""

from __future__ import annotations

import dataclasses

import torch

from .._core.batch import norm
from .._core.certificate import Certificate
from .bound import ROUNDING
from .derivative_bounds import checked_change
from .promoted import promoted
from .search import CertifiedSearch
from .taped_gradient import GradientParts

WIDE_FRACTION = 0.7
"""Fraction of the target to which the float64 gradient is certified; the rest is for rounding it."""


def settle_in_float64(search: CertifiedSearch) -> None:
    """Move ``search``, which has settled below float64, to a point and an adjoint that are solved for in float64.

    ``‖g − F'‖ ≤ ‖g − g̃‖ + ‖g̃ − F'‖`` for the float64 gradient g̃, whose error is certified; g is the gradient at the
    rounded point and adjoint, and its distance to g̃ is measured. Nothing happens if T has no map in float64.

    Cost: an application and a product, and those in float64 that the certificate of g̃ takes.
    """
    wide = in_float64(search)
    if wide is None or search.u is None or search.bounds is None:
        return

    def goal(gradient: GradientParts) -> float:
        return WIDE_FRACTION * search.goal(gradient)

    wide.goal = goal
    wide.u = search.u.double()
    wide.settle()
    search.x, search.u = wide.x.to(search.x.dtype), wide.u.to(search.u.dtype)
    search.record()
    search.measure()
    search.continued_by(wide)
    bound = allow_for_rounding(wide, search.x.dtype)
    # Sums of the backward pass may have another order than those measured here.
    b = checked_change(search.bounds, wide.tape.x.detach(), wide.u, 0.0).size
    repeated = ROUNDING * torch.finfo(search.x.dtype).eps * b * norm(wide.u)
    away = norm(search.tape.y.detach().double() - wide.tape.y.detach())
    found = dataclasses.replace(
        bound,
        adjoint=bound.adjoint + repeated,
        correction=_distance(search.gradient, wide.gradient),
        distance=bound.distance + away,
    )
    search.finish(found, search.goal(search.gradient))
    wide.release()


def in_float64(search: CertifiedSearch) -> CertifiedSearch | None:
    """Return the search from the recorded point of ``search``, in float64.

    ``None`` if it is in float64, if T has no map in float64, or if a leaf of T is not on the tape of that map.
    """
    T = promoted(search.bounds, search.loss, search.x)
    if T is None:
        return None
    left = max(1, search.budget - search.spent)
    wide = CertifiedSearch(T, search.loss, search.goal, search.tol, left, search.x.double())
    wide.parameters = search.parameters
    wide.record()
    return wide if set(map(id, wide.leaves)) == set(map(id, search.leaves)) else None


def allow_for_rounding(wide: CertifiedSearch, dtype: torch.dtype) -> Certificate:
    """Return the certificate of a float64 gradient, with what leaves and a loss of ``dtype`` round off.

    The gradient of a leaf is rounded to the dtype of the leaf, and a loss may compute in its own whatever its argument
    is.
    """
    (bound,) = wide.certificates
    eps = torch.finfo(dtype).eps
    rounded = eps * (bound.size + ROUNDING * bound.amplification * norm(wide.v))
    return dataclasses.replace(bound, adjoint=bound.adjoint + rounded)


def _distance(a: GradientParts, b: GradientParts) -> float:
    """``‖a − b‖`` of gradients in the same leaves."""
    return GradientParts({leaf: part.double() - b.parts[leaf] for leaf, part in a.parts.items()}).size
