"""Linear solves of the adjoint equation by corrections, each of which is measured before it is believed."""

# torch.linalg carries no types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from .._core.batch import back, norms, ratio, wide
from .._core.results import FixedPoint, SolveReport
from .adjoint_map import AdjointOperator

STALLED = 0.5
"""A correction that claims the tolerance and leaves more than this share of the residual has met rounding."""


@dataclass(frozen=True, slots=True)
class Correction:
    """What an inner method makes of a residual, without looking back at T.

    Attributes:
        step: to be added to the point, ``(samples, entries)``; 0 for samples whose residual it was told is 0.
        products: made on the way.
        claimed: samples that have reached the tolerance, if its recurrence is right; bool ``(samples,)`` on the CPU.
        refused: samples that the method is not for.
        lost: samples with a product that is not finite.
    """

    step: Tensor
    products: int
    claimed: Tensor
    refused: Tensor
    lost: Tensor


class InnerSolve(Protocol):
    """A method that corrects ``u``, whose residual is ``r``, by at most ``size`` products, at least one."""

    def __call__(
        self, T: AdjointOperator, like: Tensor, u: Tensor, r: Tensor, size: int, /
    ) -> Correction: ...


def solve_by_refinement(
    T: AdjointOperator, u0: Tensor, inner: InnerSolve, tol: float, budget: int
) -> FixedPoint:
    """Solve ``u = v + Jᵀu`` from ``u0``; from 0, whose residual is known without a product, if that is ``v``.

    See ``improve``. With a budget of one product, that is spent on the residual of ``u0``.
    """
    if u0 is T.v and budget > 1:
        v = wide(T.v)
        return improve(T, u0, torch.zeros_like(v), v, v, 0, inner, tol, budget)
    u, y = wide(u0), wide(T(u0))
    return improve(T, u0, u, y, y - u, 1, inner, tol, budget)


def improve(
    T: AdjointOperator,
    like: Tensor,
    u: Tensor,
    y: Tensor,
    r: Tensor,
    made: int,
    inner: InnerSolve,
    tol: float,
    budget: int,
) -> FixedPoint:
    """Correct ``u`` until the relative residual of every sample is at most ``tol``.

    A recurrence says when a correction is good enough; a product more says whether it was. A sample that
    has converged stays as it is. So does one that gets no further, and one for which a value is not finite; the latter
    is ``nan``. The point returned is, of those that were measured, the one whose worst sample is best, and the residual
    is its own.

    Args:
        T: the adjoint map.
        like: what the solution is to have the shape and dtype of.
        u, y, r: a point, ``v + Jᵀu`` there, and its residual, which is their difference; ``(samples, entries)``.
        made: products so far.
        inner: makes a correction.
        tol: relative residual to reach.
        budget: products at most.
    """
    size, scale = norms(r, y)
    lost = ~(size.isfinite() & scale.isfinite())
    residual = torch.where(lost, math.nan, ratio(size, scale))
    stuck = lost
    best, least = u, residual
    while made + 2 <= budget:
        working = (residual > tol) & ~stuck
        if not bool(working.any()):
            break
        u, r = _only(~lost, u), _only(working, r)
        found = inner(T, like, u, r, budget - made - 1)
        at = back(_only(~found.lost, u + found.step), like)
        y = T(at)
        made += found.products + 1
        u, y = wide(at), wide(y)
        r = y - u
        size, scale = norms(r, y)
        lost = lost | found.lost | ~(size.isfinite() & scale.isfinite())
        before, residual = residual, torch.where(lost, math.nan, ratio(size, scale))
        enough = torch.where(found.claimed, STALLED, 1.0) * before
        stuck = lost | stuck | found.refused | (working & ~(residual < enough))
        if _worst(residual, lost) <= _worst(least, lost):
            best, least = u, residual
    if bool(lost.any()):
        best = torch.where(lost.to(best.device)[:, None], math.nan, best)
        least = torch.where(lost, math.nan, least)
    worst = float(least.max()) if len(least) else 0.0
    return FixedPoint(back(best, like), SolveReport(made, worst, worst <= tol))


def _only(chosen: Tensor, matrix: Tensor) -> Tensor:
    """The rows that are chosen, and 0 in place of the others."""
    return matrix if bool(chosen.all()) else torch.where(chosen.to(matrix.device)[:, None], matrix, 0)


def _worst(residual: Tensor, lost: Tensor) -> float:
    kept = residual[~lost]
    return float(kept.max()) if len(kept) else 0.0
