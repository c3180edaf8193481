"""The one loop of every reach that stops on a residual: it measures, guards, and lets samples go as they converge."""

# torch.linalg carries no types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from .._core.batch import back, norms, outside, ratio, rows
from .._core.maps import Map, SupportsSelect
from .._core.results import FixedPoint, SolveReport

SPARSE = 0.75
"""Samples that have converged are left out once no more than this share of the batch is still at work."""
WORSE = 10.0
"""A residual beyond this many times the best one of its sample is a step gone wrong."""


class Update(Protocol):
    """How the next point follows from ``T(x)``. It has a memory of its own, a row a sample."""

    patience: int
    """Looks without progress after which a sample starts anew from its best point; 0 for no such guard."""
    records: bool
    """Whether it needs every ``difference``, and not only those that are looked at."""

    def difference(self, y: Tensor, x: Tensor) -> Tensor:
        """``y − x``, where ``y = T(x)``; both ``(samples, entries)``."""
        ...

    def next(self, y: Tensor) -> Tensor:
        """The point after the one whose ``difference`` was asked for last."""
        ...

    def forget(self, lost: Tensor) -> None:
        """Drop the memory of the samples that are true in ``lost``, bool ``(samples,)``."""
        ...

    def end(self, ended: Tensor) -> None:
        """The samples that are true in ``ended`` stay where they are now, and nothing more is learned of them."""
        ...

    def keep(self, index: Tensor) -> None:
        """Go on with the samples at ``index`` alone."""
        ...


@dataclass(slots=True)
class BatchState:
    """Where each sample of the whole batch stands.

    Attributes:
        x: the best point of each, ``(samples, entries)``.
        residual: ``‖T(x) − x‖ / ‖T(x)‖`` there, float64 on the CPU.
    """

    x: Tensor
    residual: Tensor


def run_until_converged(T: Map, x0: Tensor, step: Update, tol: float, budget: int, every: int) -> FixedPoint:
    """Apply T until the relative residual of every sample is at most ``tol``.

    Residuals are looked at on every ``every``-th application, on the first and on the last. The point
    returned is, for each sample, the best at which one was, with that residual as its own. A sample that has
    converged is done and stays where it is: what becomes of the others does not change it, and a ``SupportsSelect`` map
    is not applied to it for long (see ``SPARSE``). Any other map is, so that the last look is one at the points that
    are returned; a sample whose residual is not what it was, since samples interact after all, goes on.
    A sample whose residual is not finite becomes ``nan``, alone, unless a step with patience has a better point of it.

    Args:
        T: the map.
        x0: where to start, ``(samples, …)``; no samples have converged.
        step: how a point follows from another.
        tol: relative residual to reach.
        budget: applications at most.
        every: applications from one look to the next.
    """
    x, current = rows(x0), T
    if not len(x):
        return FixedPoint(x0, SolveReport(0, 0.0, True))
    found = BatchState(x, x.new_full((len(x),), math.inf, dtype=torch.float64, device="cpu"))
    place = torch.arange(len(x))  # of the rows at work in the whole batch
    best_x = best_y = x
    best = residual = found.residual
    stale = torch.zeros(len(x), dtype=torch.int64)
    working = torch.ones(len(x), dtype=torch.bool)
    applications = evaluations = 0
    while applications < budget:
        y = rows(current(back(x, x0))).to(x.dtype)
        applications += 1
        evaluations += len(x)
        looking = not applications % every or applications in (1, budget)
        with outside(x):
            f = step.difference(y, x) if looking or step.records else y
            if not looking:
                x = _where(working, step.next(y), x)
                continue
        size, scale = norms(f, y)
        better = ~working | (size < best) if step.patience else torch.ones_like(working)
        best_x, best_y = _where(better, x, best_x), _where(better, y, best_y)
        best = torch.where(better, size, best)
        residual = torch.where(better, ratio(size, scale), residual)
        stale = torch.where(better, 0, stale + 1)
        again = ~working & (residual > tol)
        working = working | again
        ended = working & ((residual <= tol) | ~best.isfinite())
        last = applications == budget
        if bool(ended.any()) or last:
            gone = ended & ~best.isfinite()
            best_x, residual = _where(gone, best_x * math.nan, best_x), residual.where(~gone, math.nan)
            _store(found, place, ended | ~working | last, best_x, residual)
            working = working & ~ended
        if last or not bool(working.any()):
            break
        if bool(ended.any()):
            step.end(ended)
        # `not <=` and not `>`, so that a nan falls back to the best point as well.
        lost = ~(size <= WORSE * best) | (stale >= step.patience) if step.patience else again
        lost = (lost | again) & working
        with outside(x):
            x = step.next(y)
        if bool(lost.any()):
            step.forget(lost)
            stale = torch.where(lost, 0, stale)
            x = _where(lost, best_y, x)
        x = _where(working, x, best_x)
        if isinstance(current, SupportsSelect) and int(working.sum()) <= SPARSE * len(working):
            index = working.nonzero().flatten()
            there = index.to(x.device)
            current = current.select(there)
            step.keep(there)
            x, best_x, best_y = x[there], best_x[there], best_y[there]
            best, residual, stale, working = best[index], residual[index], stale[index], working[index]
            place = place[index]
    worst = float(found.residual.max())
    share = evaluations / (applications * len(found.x))
    return FixedPoint(back(found.x, x0), SolveReport(applications, worst, worst <= tol, share))


def _where(chosen: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Rows of ``a`` where chosen, of ``b`` elsewhere, and no copy where all are of one."""
    if bool(chosen.all()):
        return a
    return torch.where(chosen.to(a.device)[:, None], a, b) if bool(chosen.any()) else b


def _store(found: BatchState, place: Tensor, ended: Tensor, x: Tensor, residual: Tensor) -> None:
    if len(x) == len(found.x):
        found.x = _where(ended, x, found.x)
    else:
        found.x = found.x.index_copy(0, place[ended].to(x.device), x[ended.to(x.device)])
    found.residual = found.residual.index_copy(0, place[ended], residual[ended])
