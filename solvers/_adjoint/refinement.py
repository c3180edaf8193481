"""Solve the adjoint equation by corrections, each of which is checked by measuring its residual."""

# torch.linalg carries no types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from .._core.batch import from_rows, norms, ratio, wide_rows
from .._core.results import FixedPoint, SolveReport
from .adjoint_map import AdjointOperator

STALLED = 0.5
"""A correction that claims convergence but leaves more than this fraction of the residual is limited by rounding."""


@dataclass(frozen=True, slots=True)
class Correction:
    """Result of an inner solve, from its recurrence alone. Masks are bool ``(samples,)`` on the CPU.

    Attributes:
        step: to be added to the point, ``(samples, entries)``; 0 where the given residual is 0.
        products: number of products made.
        converged: samples that have met the tolerance, if the recurrence is right.
        unsuited: samples for which the method is not suited, e.g. CG for a J that is not symmetric.
        broken: samples with a product that is not finite.
    """

    step: Tensor
    products: int
    converged: Tensor
    unsuited: Tensor
    broken: Tensor


class InnerSolve(Protocol):
    """Correct ``u``, whose residual is ``r``, by at least one and at most ``size`` products."""

    def __call__(
        self, T: AdjointOperator, like: Tensor, u: Tensor, r: Tensor, size: int, /
    ) -> Correction: ...


def solve_by_refinement(
    T: AdjointOperator, u0: Tensor, inner: InnerSolve, tol: float, budget: int
) -> FixedPoint:
    """Solve ``u = v + Jᵀu`` from ``u0``; see ``improve``.

    If ``u0`` is ``v``, start from 0 instead, whose residual v is known without a product. A budget of one product is
    spent on the residual of ``u0``.
    """
    if u0 is T.v and budget > 1:
        v = wide_rows(T.v)
        return improve(T, u0, torch.zeros_like(v), v, v, 0, inner, tol, budget)
    u, y = wide_rows(u0), wide_rows(T(u0))
    return improve(T, u0, u, y, y - u, 1, inner, tol, budget)


def improve(
    T: AdjointOperator,
    like: Tensor,
    u: Tensor,
    y: Tensor,
    r: Tensor,
    products: int,
    inner: InnerSolve,
    tol: float,
    budget: int,
) -> FixedPoint:
    """Correct ``u`` until the relative residual of every sample is at most ``tol``.

    The recurrence of ``inner`` drifts from the true residual, by rounding or because samples interact. So each
    correction is followed by a product that measures the residual, and repeated if it has not converged. A sample stays
    as it is once it has converged, or a correction no longer helps. One with a value that is not finite becomes nan.
    Of the measured points, the one with the smallest worst residual over the samples is returned, with that residual.

    Args:
        T: the adjoint operator.
        like: a tensor of the shape and dtype of the solution.
        u, y, r: a point, ``v + Jᵀu`` there, and its residual ``y − u``; ``(samples, entries)``.
        products: number of products so far.
        inner: makes a correction.
        tol: relative residual.
        budget: maximal number of products.
    """
    size, scale = norms(r, y)
    broken = ~(size.isfinite() & scale.isfinite())
    residual = torch.where(broken, math.nan, ratio(size, scale))
    stuck = broken
    best, best_residual = u, residual
    while products + 2 <= budget:  # at least one product for the correction, and one to measure it
        active = (residual > tol) & ~stuck
        if not bool(active.any()):
            break
        u, r = _masked(~broken, u), _masked(active, r)
        correction = inner(T, like, u, r, budget - products - 1)
        point = from_rows(_masked(~correction.broken, u + correction.step), like)
        value = T(point)
        products += correction.products + 1
        u, y = wide_rows(point), wide_rows(value)
        r = y - u
        size, scale = norms(r, y)
        broken = broken | correction.broken | ~(size.isfinite() & scale.isfinite())
        before, residual = residual, torch.where(broken, math.nan, ratio(size, scale))
        enough = torch.where(correction.converged, STALLED, 1.0) * before
        stuck = broken | stuck | correction.unsuited | (active & ~(residual < enough))
        if _worst(residual, broken) <= _worst(best_residual, broken):
            best, best_residual = u, residual
    if bool(broken.any()):
        best = torch.where(broken.to(best.device)[:, None], math.nan, best)
        best_residual = torch.where(broken, math.nan, best_residual)
    worst = float(best_residual.max()) if len(best_residual) else 0.0
    return FixedPoint(from_rows(best, like), SolveReport(products, worst, worst <= tol))


def _masked(mask: Tensor, matrix: Tensor) -> Tensor:
    """Return the rows in the mask, and 0 elsewhere."""
    return matrix if bool(mask.all()) else torch.where(mask.to(matrix.device)[:, None], matrix, 0)


def _worst(residual: Tensor, broken: Tensor) -> float:
    finite = residual[~broken]
    return float(finite.max()) if len(finite) else 0.0
