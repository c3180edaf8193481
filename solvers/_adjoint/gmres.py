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
    inners,
    no_autocast,
    norms,
    norms_and_inners,
    ratio,
    wide_rows,
)
from .._core.maps import SupportsSelect
from .adjoint_map import AdjointOperator
from .refinement import Correction, RefinedSolver

CANCELLED = 0.1
"""Orthogonalise again if less than this fraction of a vector is left: its small rest is mostly rounding."""
AGAIN = 2
"""Maximal number of repetitions. One is enough (Giraud et al. 2005); what a second leaves is rounding."""
NOISE = 10.0
"""Below this many units of rounding a new basis vector is 0: the Krylov space is exhausted."""


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
        size = min(size, self.memory)
        r_size = norms(r)[0]
        Q = r.new_empty(r.shape[0], size + 1, r.shape[1])
        Q[:, 0] = r.double() / _column(r_size, r.double())  # ‖r‖ may be out of the range of float32
        u_size = norms(u)[0] / torch.where(r_size > 0, r_size, 1)
        H = torch.zeros(len(r), size + 1, size, dtype=torch.float64)
        weights, along = torch.zeros_like(H[:, 0]), torch.zeros_like(H[..., 0])
        converged, broken = r_size == 0, torch.zeros_like(r_size, dtype=torch.bool)
        noise = NOISE * torch.finfo(r.dtype).eps
        amplification = torch.where(amplification.isfinite(), amplification, 1)
        k, skipped = 0, 0.0
        place, result = torch.arange(len(r)), _Result(r, amplification, converged, broken)
        while k < size:
            q = Q[:, k]
            along[:, k] = _along(q, u, u_size, r_size)
            column = _orthogonalise(Q, q - wide_rows(T.linear(from_rows(q, like))), k, noise)
            broken = broken | ~column.isfinite().all(1)
            H[:, : k + 2, k] = torch.where(broken[:, None], 0, column)
            k += 1
            skipped += 1 - len(place) / len(r)
            if bool((u_size > 0).any()):
                along[:, k] = _along(Q[:, k], u, u_size, r_size)
            c, residual, Tu_size = _least_squares(H[:, : k + 1, :k], noise, along[:, : k + 1], u_size)
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
            result.step, k, result.converged, unsuited, result.broken, result.amplification, skipped
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


def _column(size: Tensor, like: Tensor) -> Tensor:
    """Return positive sizes as a column to divide ``like`` by; 1 in place of 0."""
    return torch.where(size > 0, size, 1).to(like)[:, None]


def _along(q: Tensor, u: Tensor, u_size: Tensor, r_size: Tensor) -> Tensor:
    """Return ``⟨q, u⟩ / ‖r‖``, without a pass over q if u is 0."""
    return inners(q, u) / torch.where(r_size > 0, r_size, 1) if bool((u_size > 0).any()) else u_size


def _orthogonalise(Q: Tensor, w: Tensor, k: int, noise: float) -> Tensor:
    """Set ``Q[:, k + 1]`` from w; return column k of H, float64 ``(samples, k + 2)`` on the CPU.

    A w within the span of Q leaves nothing but rounding. Then the last entry of H and ``Q[:, k + 1]`` are 0.
    """
    basis = Q[:, : k + 1]
    total = torch.zeros(len(w), k + 1, dtype=torch.float64)
    floor = left = total[:, 0]
    with no_autocast(w):
        for attempt in range(1 + AGAIN):
            h = torch.bmm(basis, w[:, :, None])[..., 0]
            w = torch.baddbmm(w[:, None], h[:, None], basis, alpha=-1)[:, 0]
            (removed, left), _, columns = norms_and_inners([h, w], extra=h.mT)
            total = total + columns.mT
            if not attempt:
                # w was a difference q − Jᵀq, so it carries the rounding of q, of norm 1, as well as its own.
                floor = noise * (1 + torch.hypot(removed, left))
            # What was just removed measures how far from orthogonal w was.
            if not bool(((left < CANCELLED * removed) & (left > floor)).any()):
                break
        left = torch.where(left <= floor, 0, left)
        usable = ((left > 0) & left.isfinite()).to(w.device)[:, None]
        Q[:, k + 1] = torch.where(usable, w / _column(left, w), 0)
    return torch.cat((total, left[:, None]), 1)


def _least_squares(H: Tensor, noise: float, along: Tensor, u_size: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Minimise ``‖e₁ − H c‖``; return c, the minimum, and ``‖v + Jᵀ(u + Q c)‖``, per sample."""
    right = torch.zeros(*H.shape[:2], 1, dtype=H.dtype)
    right[:, 0] = 1
    basis, triangle = torch.linalg.qr(H)
    diagonal = triangle.diagonal(dim1=1, dim2=2)
    # Columns without a pivot, of basis vectors that are 0 or that I − Jᵀ maps to 0, get coefficient 0.
    empty = diagonal.abs() <= noise * torch.clamp(diagonal.abs().amax(1, keepdim=True), min=1)
    triangle = torch.where(torch.diag_embed(empty), 1, triangle)
    c = torch.linalg.solve_triangular(
        triangle, torch.where(empty[..., None], 0, basis.mT @ right), upper=True
    )
    residual = (right - H @ c)[..., 0]
    # v + Jᵀ(u + Q c) is the corrected point plus its residual. Its part in the span of Q:
    inside = residual + along
    inside[:, :-1] += c[..., 0]
    # Its part outside is that of u, which the correction leaves as it is.
    outside = (u_size.square() - along.square().sum(1)).clamp(min=0).sqrt()
    Tu_size = torch.hypot(torch.linalg.vector_norm(inside, dim=1), outside)
    return c[..., 0], torch.linalg.vector_norm(residual, dim=1), Tu_size
