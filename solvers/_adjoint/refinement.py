"""Solve the adjoint equation by corrections, and measure the residual after each."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .._core.batch import from_rows, norms, ratio, wide_rows
from .._core.results import FixedPoint, SolveReport
from .adjoint_map import AdjointOperator

STALLED = 0.5
"""A correction that claims convergence but leaves more than this fraction of the residual is limited by rounding."""


@dataclass(frozen=True, slots=True)
class Correction:
    """A correction by a recurrence, without measuring its residual. Masks are bool ``(samples,)`` on the CPU.

    Attributes:
        point: the corrected point, ``(samples, entries)``.
        products: number of products made.
        converged: samples that have met the tolerance, if the recurrence is right.
        unsuited: samples for which the method does not work, e.g. CG for a J that is not symmetric.
        broken: samples with a product that is not finite.
        amplification: what the tolerance bounds, over the residual; 1 if it bounds the residual.
        skipped: number of products, each weighted by the fraction of the samples that it was not made on.
    """

    point: Tensor
    products: int
    converged: Tensor
    unsuited: Tensor
    broken: Tensor
    amplification: Tensor | float = 1.0
    skipped: float = 0.0


class RefinedSolver:
    """An adjoint solver that repeats corrections until the measured residual of every sample is at most ``tol``.

    The recurrence of a correction drifts from the true residual, by rounding or because samples interact. So a further
    product measures it, and the correction is repeated if it has not converged. A sample stays as it is once it has
    converged, or a correction no longer helps. One with a value that is not finite becomes nan. Of the measured points,
    the one with the smallest worst residual over the samples is returned, with that residual.
    """

    __slots__ = ()
    tol: float
    budget: int

    @property
    def _unknown_amplification(self) -> float:
        """``Correction.amplification`` before the first correction."""
        return 1.0

    def _correct(
        self, T: AdjointOperator, like: Tensor, u: Tensor, r: Tensor, size: int, amplification: Tensor
    ) -> Correction:
        """Correct ``u``, whose residual is ``r``, by at least one and at most ``size`` products.

        ``amplification`` is that of the corrections before, which a small Krylov space alone would not see; 1 before
        the first.
        """
        raise NotImplementedError

    def __call__(self, T: AdjointOperator, u0: Tensor, /) -> FixedPoint:
        # From 0, if u0 is v: its residual v is known without a product. A budget of one product measures u0.
        if u0 is T.v and self.budget > 1:
            v = wide_rows(T.v)
            zero = v.new_zeros(()).expand_as(v)  # one number in memory
            return self.improve(T, u0, zero, v, v)
        u, y = wide_rows(u0), wide_rows(T(u0))
        return self.improve(T, u0, u, y, y - u, 1)

    def improve(
        self,
        T: AdjointOperator,
        like: Tensor,
        u: Tensor,
        y: Tensor,
        r: Tensor,
        products: int = 0,
        amplification: float | None = None,
    ) -> FixedPoint:
        """Continue from a known residual.

        Args:
            T: the adjoint operator.
            like: a tensor of the shape and dtype of the solution.
            u, y, r: a point, ``v + Jᵀu`` there, and its residual ``y − u``; ``(samples, entries)``.
            products: number of products so far.
            amplification: that of an earlier solve for nearly the same J; ``None`` if there was none.
        """
        size, scale = norms(r, y)
        del y
        broken = ~(size.isfinite() & scale.isfinite())
        residual = torch.where(broken, math.nan, ratio(size, scale))
        factors = torch.full_like(
            residual, self._unknown_amplification if amplification is None else amplification
        )
        stuck, skipped = broken, 0.0
        best, best_residual = u, residual
        while products + 2 <= self.budget:  # at least one product for the correction, and one to measure it
            active = ~self._met(residual, factors) & ~stuck
            if not bool(active.any()):
                break
            # Handed over without a name here, which would keep them alive during the correction.
            handed = [_masked(~broken, u), _masked(active, r)]
            del u, r
            left = self.budget - products - 1
            known = torch.where(factors.isfinite(), factors, 1)
            correction = self._correct(T, like, handed.pop(0), handed.pop(0), left, known)
            u = wide_rows(from_rows(_masked(~correction.broken, correction.point), like))
            r, size, scale = _residual(T, like, u)
            factors = torch.as_tensor(correction.amplification, dtype=factors.dtype).expand_as(factors)
            products += correction.products + 1
            skipped += correction.skipped
            broken = broken | correction.broken | ~(size.isfinite() & scale.isfinite())
            before, residual = residual, torch.where(broken, math.nan, ratio(size, scale))
            enough = torch.where(correction.converged, STALLED, 1.0) * before
            stuck = broken | stuck | correction.unsuited | (active & ~(residual < enough))
            if _worst(residual, broken) <= _worst(best_residual, broken):
                best, best_residual = u, residual
            del correction  # its point
        if bool(broken.any()):
            best = torch.where(broken.to(best.device)[:, None], math.nan, best)
            best_residual = torch.where(broken, math.nan, best_residual)
        worst = float(best_residual.max()) if len(best_residual) else 0.0
        converged = bool(self._met(best_residual, factors).all())
        largest = float(factors.max()) if len(factors) else math.inf
        report = SolveReport(products, worst, converged, 1 - skipped / max(1, products), largest)
        return FixedPoint(from_rows(best, like).contiguous(), report)

    def _met(self, residual: Tensor, amplification: Tensor) -> Tensor:
        """Whether samples have met the tolerance; one without a residual has, whatever its amplification."""
        return (residual == 0) | (residual * amplification <= self.tol)


def _residual(T: AdjointOperator, like: Tensor, u: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return ``v + Jᵀu − u``, and its norm and that of ``v + Jᵀu`` for each sample, by one product."""
    y = wide_rows(T(from_rows(u, like)))
    r = y - u
    size, scale = norms(r, y)
    return r, size, scale


def _masked(mask: Tensor, matrix: Tensor) -> Tensor:
    """Return the rows in the mask, and 0 elsewhere."""
    return matrix if bool(mask.all()) else torch.where(mask.to(matrix.device)[:, None], matrix, 0)


def _worst(residual: Tensor, broken: Tensor) -> float:
    finite = residual[~broken]
    return float(finite.max()) if len(finite) else 0.0
