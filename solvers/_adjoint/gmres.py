"""GMRES for the adjoint equation, a Krylov space for each sample."""

# pyright: reportConstantRedefinition=false, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from .._core.argument_checks import stopping_rule
from .._core.batch import (
    SPARSE,
    from_rows,
    no_autocast,
    norms,
    ratio,
    wide_rows,
)
from .._core.maps import SupportsSelect
from .adjoint_map import AdjointOperator
from .arnoldi import NOISE, component, divisor, least_squares, orthogonalise
from .refinement import Correction, RefinedSolver


@dataclass(frozen=True, slots=True)
class GMRES(RefinedSolver):
    """Generalised minimal residuals (Saad & Schultz 1986) for ``(I − Jᵀ)u = v``, with any J.

    After k products, u minimises ``‖v − (I − Jᵀ)u‖`` over the span of ``v, Jᵀv, …, (Jᵀ)^{k−1}v``, which contains the
    k-term Neumann series. If ``u0`` is ``v``, it starts from 0 instead, whose residual is known without a product. It
    restarts after ``memory`` products.

    Once the recurrence claims that every sample has met ``tol``, one more product measures the residual. If it is
    larger, because of rounding or samples that interact, the solve continues as long as that helps. A sample with a
    value that is not finite becomes nan, and no other sample does.

    Cost: one vector-Jacobian product a step, one to measure; ``memory + 4`` vectors of the size of ``u``.

    Attributes:
        tol: relative residual ``‖v + Jᵀu − u‖ / ‖v + Jᵀu‖``, as for every forward solver.
        budget: maximal number of products.
        memory: maximal dimension of a Krylov space.
        error: whether ``tol`` bounds the estimated relative error ``‖u − u*‖ / ‖u‖`` in place of the residual. The
            estimate divides the residual by the smallest singular value of ``I − Jᵀ`` on the Krylov spaces, which is at
            least that on the whole space: so it is no bound, but on the tasks of the benchmark it was 0.95 to 2 times
            the error.

    Raises:
        ValueError: ``tol`` is not positive, or ``budget`` or ``memory`` is below 1.
    """

    tol: float = 1e-6
    budget: int = 200
    memory: int = 30
    error: bool = False

    @property
    def _unknown_amplification(self) -> float:
        return math.inf if self.error else 1.0

    def __post_init__(self) -> None:
        stopping_rule(self.tol, budget=self.budget, memory=self.memory)

    @property
    def workspace_vectors(self) -> int:
        """Vectors of the size of ``u`` that a solve holds at most while a product runs, beside v and ``u0``."""
        return self.memory + 4

    def _correct(
        self, T: AdjointOperator, like: Tensor, u: Tensor, r: Tensor, size: int, amplification: Tensor
    ) -> Correction:
        """Correct u in one Krylov space of at most ``size`` dimensions.

        Arnoldi's relation is ``(I − Jᵀ) Q_k = Q_{k+1} H`` with ``q_0 = r/‖r‖``. So the correction is ``Q_k c ‖r‖``, for
        the c that minimises ``‖e₁ − H c‖``. The stopping rule is relative to ``‖v + Jᵀu‖``, which also needs the
        components of u along Q, and its norm. Both are in units of ``‖r‖``.
        """
        start, size = u, min(size, self.memory)
        r_size = norms(r)[0]
        Q = r.new_empty(r.shape[0], size + 1, r.shape[1])
        Q[:, 0] = r.double() / divisor(r_size, r.double())  # ‖r‖ may be out of the range of float32
        u_size = norms(u)[0] / torch.where(r_size > 0, r_size, 1)
        H = torch.zeros(len(r), size + 1, size, dtype=torch.float64)
        weights, along = torch.zeros_like(H[:, 0]), torch.zeros_like(H[..., 0])
        converged, broken = r_size == 0, torch.zeros_like(r_size, dtype=torch.bool)
        noise = NOISE * torch.finfo(r.dtype).eps
        k, skipped = 0, 0.0
        place, result = torch.arange(len(r)), _Result(r, amplification, converged, broken)
        while k < size:
            q = Q[:, k]
            along[:, k] = component(q, u, u_size, r_size)
            column = orthogonalise(Q, q - wide_rows(T.linear(from_rows(q, like))), k, noise)
            broken = broken | ~column.isfinite().all(1)
            H[:, : k + 2, k] = torch.where(broken[:, None], 0, column)
            k += 1
            skipped += 1 - len(place) / len(r)
            if bool((u_size > 0).any()):
                along[:, k] = component(Q[:, k], u, u_size, r_size)
            c, residual, Tu_size = least_squares(H[:, : k + 1, :k], noise, along[:, : k + 1], u_size)
            active = ~(converged | broken)
            weights[:, :k] = torch.where(active[:, None], c, weights[:, :k])
            if self.error:
                found = _inverse_bound(H[:, : k + 1, :k], noise)
                amplification = torch.where(active, torch.maximum(amplification, found), amplification)
            converged = converged | (active & (ratio(residual, Tu_size) * amplification <= self.tol))
            running = ~(converged | broken | (H[:, k, k - 1] == 0))
            if not bool(running.any()):
                break
            if k < size and isinstance(T, SupportsSelect) and int(running.sum()) <= SPARSE * len(running):
                result.store(
                    place, weights[:, :k] * r_size[:, None], Q[:, :k], amplification, converged, broken
                )
                index = running.nonzero().flatten()
                there = index.to(r.device)
                T = cast("AdjointOperator", T.select(there))
                Q, u = Q[there], u[there]
                H, weights, along = H[index], weights[index], along[index]
                r_size, u_size, amplification = r_size[index], u_size[index], amplification[index]
                converged, broken, place = converged[index], broken[index], place[index]
        result.store(place, weights[:, :k] * r_size[:, None], Q[:, :k], amplification, converged, broken)
        unsuited = torch.zeros_like(result.broken)
        return Correction(
            start + result.step, k, result.converged, unsuited, result.broken, result.amplification, skipped
        )


class _Result:
    """The correction of the whole batch, to which those of its samples are written as they end."""

    def __init__(self, r: Tensor, amplification: Tensor, converged: Tensor, broken: Tensor) -> None:
        self.step = r  # until the first is stored: memory is taken for samples that end early alone
        self.amplification, self._whole = amplification.clone(), len(r)
        self.converged, self.broken = converged.clone(), broken.clone()

    def store(
        self,
        place: Tensor,
        weights: Tensor,
        Q: Tensor,
        amplification: Tensor,
        converged: Tensor,
        broken: Tensor,
    ) -> None:
        """Write the steps ``Q · weights`` of the samples at ``place``."""
        with no_autocast(Q):
            step = torch.bmm(weights.to(Q)[:, None], Q)[:, 0]
        if self._whole == len(place):
            self.step = step
        else:
            self.step = self.step.index_copy(0, place.to(Q.device), step)
        self.amplification[place] = amplification
        self.converged[place], self.broken[place] = converged, broken


def _inverse_bound(H: Tensor, noise: float) -> Tensor:
    """Return ``1/σ`` with σ the smallest singular value of H, per sample; 0-columns, which add nothing, count as 1."""
    empty = (H == 0).all(1)
    filled = H.clone()
    filled[:, : H.shape[2]] += torch.diag_embed(empty.to(H))
    return 1 / torch.linalg.svdvals(filled)[:, -1].clamp(min=noise)
