"""The loop of every forward solver that stops on a residual, sample by sample."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import math

import torch
from torch import Tensor

from .._core.batch import SPARSE, from_rows, no_autocast, norms, ratio, rows
from .._core.maps import Map, SupportsSelect
from .._core.results import FixedPoint, SolveReport
from .equilibrium_error import EquilibriumError

WORSE = 10.0
"""A residual above this many times the best one of its sample means that the acceleration has failed."""

SOON = 10.0
"""Within this many times the tolerance the residual is looked at where the acceleration has aimed at the equilibrium:
aiming lowers it by about as much, and the next measurement may be applications away."""

CLOSER = 0.3
"""A look in vain is repeated once the residual is this part of what it was: on a GPU each look is a wait."""


class Update:
    """How the next point follows from ``T(x)``: plainly. Accelerations override it; their memory has a row a sample.

    Attributes:
        patience: measurements without progress after which a sample restarts from its best point; 0 for no safeguard.
        growing: whether each restart of a sample doubles its patience, for steps that are plain for a while then.
        worse: residual, as a multiple of the best one of its sample, beyond which it restarts at once.
        aimed: samples whose point from the last ``next`` is where the acceleration expects the equilibrium, as a mask
            ``(samples,)`` or for all; plain steps and trials of a line search are not.
        needs_every_difference: whether ``difference`` is called at every application, not at measurements alone.
    """

    patience = 0
    growing = False
    worse = WORSE
    aimed: Tensor | bool = False
    needs_every_difference = False

    def __init__(self, x: Tensor) -> None:
        self._f = torch.empty_like(x)

    def difference(self, y: Tensor, x: Tensor) -> Tensor:
        """Return ``y − x`` with ``y = T(x)``, all ``(samples, entries)``."""
        return torch.sub(y, x, out=self._f)

    def next(self, y: Tensor) -> Tensor:
        """Return the point after the one of the last ``difference``."""
        return y

    def reset(self, samples: Tensor) -> None:
        """Drop the memory of some samples, given as a mask ``(samples,)``."""

    def freeze(self, samples: Tensor) -> None:
        """Learn nothing more of some samples, given as a mask: they stay at their present points."""

    def select(self, index: Tensor) -> None:
        """Continue with the samples at ``index`` alone."""
        self._f = self._f[index]


def run_until_converged(
    T: Map,
    x0: Tensor,
    step: Update,
    tol: float,
    budget: int,
    every: int,
    error: EquilibriumError | None = None,
) -> FixedPoint:
    """Apply T until the relative residual of every sample is at most ``tol``; with ``error``, its estimated error.

    Each sample gets its best measured point, with the residual measured there. A sample that has converged stays where
    it is, so the others do not change it; a map with ``select`` is no longer applied to it (see ``SPARSE``). Other maps
    are applied to the whole batch, at the final points too: a sample whose residual there is above ``tol`` again,
    because samples interact after all, becomes active again. A sample whose residual is not finite becomes nan, unless
    a step with patience has an earlier, finite point of it.

    Args:
        T: the map.
        x0: the start, ``(samples, …)``; an empty batch is returned as it is.
        step: makes a point from the last one.
        tol: relative residual.
        budget: maximal number of applications.
        every: applications per measurement of the residual; the first and the last are measured too, and near
            ``tol``, without ``error``, a few of the points at which the acceleration has aimed.
        error: estimates the relative error that ``tol`` bounds; by default the residual is what it bounds.
    """
    x, current = rows(x0), T
    if not len(x):
        return FixedPoint(x0, SolveReport(0, 0.0, True))
    # Results of the whole batch: points, and residuals in float64 on the CPU.
    result, residuals = x, x.new_full((len(x),), math.inf, dtype=torch.float64, device="cpu")
    distances = residuals
    # From here on all tensors hold the selected samples alone; `place` says where they are in the batch.
    place = torch.arange(len(x))
    best_x = best_y = x
    best = residual = distance = residuals
    stale = torch.zeros(len(x), dtype=torch.int64)
    # A restart leads to the same point again unless something changes. T may contract in another norm than that of the
    # residual, which then rises for as many steps as it likes before it falls.
    patience = torch.full_like(stale, step.patience)
    active = torch.ones(len(x), dtype=torch.bool)
    near = torch.full_like(residual, SOON * tol)
    applications = evaluations = 0
    while applications < budget:
        y = rows(current(from_rows(x, x0))).to(x.dtype)
        applications += 1
        evaluations += len(x)
        measured = not applications % every or applications in (1, budget)
        with no_autocast(x):
            f = step.difference(y, x) if measured or step.needs_every_difference else y
            if (
                not measured
                and error is None
                and bool((soon := active & step.aimed & (residual <= near)).any())
            ):
                # A full measurement would wear out the patience of a step, so this one counts if it ends a sample.
                f = f if step.needs_every_difference else step.difference(y, x)
                measured = bool((active & (ratio(*norms(f, y)) <= tol)).any())
                near = torch.where(soon, CLOSER * residual, near)
            if not measured:
                x = _where(active, step.next(y), x)
                continue
        size, scale = norms(f, y)
        better = ~active | (size < best) if step.patience else torch.ones_like(active)
        best_x, best_y = _where(better, x, best_x), _where(better, y, best_y)
        best = torch.where(better, size, best)
        residual = torch.where(better, ratio(size, scale), residual)
        following = None
        if error is None:
            distance = residual
        else:
            with no_autocast(x):
                following = step.next(y)
            # The secants of an inactive sample, which does not move, tell nothing of its distance.
            found = error(x, y, following, (size, scale), place, active, active & step.aimed)
            distance = torch.where(better & active, found, distance)
        stale = torch.where(better, 0, stale + 1)
        again = ~active & (distance > tol)
        active = active | again
        ended = active & ((distance <= tol) | ~best.isfinite())
        last = applications == budget
        if bool(ended.any()) or last:
            broken = ended & ~best.isfinite()
            best_x, residual = _where(broken, best_x * math.nan, best_x), residual.where(~broken, math.nan)
            final = ended | ~active | last
            result = _stored(result, place, final, best_x)
            residuals = residuals.index_copy(0, place[final], residual[final])
            distances = distances.index_copy(0, place[final], distance[final])
            active = active & ~ended
        if last or not bool(active.any()):
            break
        if bool(ended.any()):
            step.freeze(ended)
        # `not <=` in place of `>`, so that a nan falls back to the best point as well.
        failed = ~(size <= step.worse * best) | (stale >= patience) if step.patience else again
        failed = (failed | again) & active
        with no_autocast(x):
            x = step.next(y) if following is None else following
        if bool(failed.any()):
            step.reset(failed)
            if error is not None:
                error.reset(failed)
            stale = torch.where(failed, 0, stale)
            patience = torch.where(failed, 2 * patience, patience) if step.growing else patience
            x = _where(failed, best_y, x)
        x = _where(active, x, best_x)
        if isinstance(current, SupportsSelect) and int(active.sum()) <= SPARSE * len(active):
            index = active.nonzero().flatten()
            on_device = index.to(x.device)
            current = current.select(on_device)
            step.select(on_device)
            if error is not None:
                error.select(index)
            x, best_x, best_y = x[on_device], best_x[on_device], best_y[on_device]
            best, residual, stale, active = best[index], residual[index], stale[index], active[index]
            distance, place, near, patience = distance[index], place[index], near[index], patience[index]
    worst, converged = float(residuals.max()), bool((distances <= tol).all())
    fraction = evaluations / (applications * len(result))
    return FixedPoint(from_rows(result, x0), SolveReport(applications, worst, converged, fraction))


def _where(mask: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Return rows of ``a`` in the mask and of ``b`` elsewhere, without a copy if all are of one."""
    if bool(mask.all()):
        return a
    return torch.where(mask.to(a.device)[:, None], a, b) if bool(mask.any()) else b


def _stored(result: Tensor, place: Tensor, final: Tensor, x: Tensor) -> Tensor:
    if len(x) == len(result):
        return _where(final, x, result)
    return result.index_copy(0, place[final].to(x.device), x[final.to(x.device)])
