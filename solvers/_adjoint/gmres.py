"""GMRES for the adjoint equation, a Krylov space for each sample."""

# torch.linalg carries no types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .._core.argument_checks import at_least, positive
from .._core.batch import back, inners, looked, norms, outside, ratio, wide
from .._core.results import FixedPoint
from . import refinement
from .adjoint_map import AdjointOperator
from .refinement import Correction

CANCELLED = 0.1
"""Once orthogonalisation has left less than this share of a vector, it is done again."""
AGAIN = 2
"""Orthogonalised again at most this often: once is enough (Giraud et al. 2005), and what is left then is rounding."""
NOISE = 10.0
"""This many units of rounding are taken for 0: the Krylov space is exhausted."""


@dataclass(frozen=True, slots=True)
class GMRES:
    """``(I − Jᵀ)u = v`` by generalised minimal residuals (Saad & Schultz 1986), for any J.

    After k products u minimises ``‖v − (I − Jᵀ)u‖`` over the span of ``v, Jᵀv, …, (Jᵀ)^{k−1}v``, of which the
    Neumann series is one member. Started at ``v``, it goes back to 0, whose residual is known without a product.
    It begins again once ``memory`` products are made. Where the recurrence says that every sample has reached
    ``tol``, one more product measures whether it has (it has not, where rounding or samples that interact are in the
    way); the solve goes on if not, as long as that helps. A sample for which a value is not finite becomes ``nan``,
    alone.

    Cost: one vector-Jacobian product a step, and one to measure; ``memory + 1`` vectors of the size of ``u``.

    Attributes:
        tol: ``‖v + Jᵀu − u‖ / ‖v + Jᵀu‖`` to reach, as for every other reach.
        budget: products at most.
        memory: size of a Krylov space.

    Raises:
        ValueError: ``tol`` is not positive, or ``budget`` or ``memory`` is below 1.
    """

    tol: float = 1e-6
    budget: int = 200
    memory: int = 30

    def __post_init__(self) -> None:
        positive("tol", self.tol)
        at_least("budget", self.budget, 1)
        at_least("memory", self.memory, 1)

    def __call__(self, T: AdjointOperator, u0: Tensor, /) -> FixedPoint:
        return refinement.solve_by_refinement(T, u0, self._space, self.tol, self.budget)

    def improve(self, T: AdjointOperator, like: Tensor, u: Tensor, r: Tensor, made: int = 0) -> FixedPoint:
        """Go on from ``u``, whose residual ``r = v + Jᵀu − u`` is known after ``made`` products.

        Args:
            T: the adjoint map.
            like: what the solution is to have the shape of.
            u, r: ``(samples, entries)``.
            made: products so far.
        """
        return refinement.improve(T, like, u, u + r, r, made, self._space, self.tol, self.budget)

    def _space(self, T: AdjointOperator, like: Tensor, u: Tensor, r: Tensor, size: int) -> Correction:
        """u corrected in a Krylov space of at most ``size`` dimensions."""
        size = min(size, self.memory)
        first = norms(r)[0]
        Q = r.new_empty(r.shape[0], size + 1, r.shape[1])
        Q[:, 0] = r.double() / _column(first, r.double())  # ‖r‖ may be out of the range of float32
        # In units of ‖r‖ from here on.
        around = norms(u)[0] / torch.where(first > 0, first, 1)
        H = torch.zeros(len(r), size + 1, size, dtype=torch.float64)
        weights, along = torch.zeros_like(H[:, 0]), torch.zeros_like(H[..., 0])
        claimed, lost = first == 0, torch.zeros_like(first, dtype=torch.bool)
        noise = NOISE * torch.finfo(r.dtype).eps
        k = 0
        while k < size:
            q = Q[:, k]
            along[:, k] = _along(q, u, around, first)
            column = _orthogonalise(Q, q - wide(T.linear(back(q, like))), k, noise)
            lost = lost | ~column.isfinite().all(1)
            H[:, : k + 2, k] = torch.where(lost[:, None], 0, column)
            k += 1
            if bool((around > 0).any()):
                along[:, k] = _along(Q[:, k], u, around, first)
            c, left, reached = _least(H[:, : k + 1, :k], noise, along[:, : k + 1], around)
            working = ~(claimed | lost)
            weights[:, :k] = torch.where(working[:, None], c, weights[:, :k])
            claimed = claimed | (working & (ratio(left, reached) <= self.tol))
            if bool((claimed | lost | (H[:, k, k - 1] == 0)).all()):
                break
        with outside(Q):
            step = torch.bmm((weights[:, :k] * first[:, None]).to(Q)[:, None], Q[:, :k])[:, 0]
        return Correction(step, k, claimed, torch.zeros_like(lost), lost)


def _column(size: Tensor, like: Tensor) -> Tensor:
    """Positive sizes as a column that ``like`` is divided by; 1 in place of 0."""
    return torch.where(size > 0, size, 1).to(like)[:, None]


def _along(q: Tensor, u: Tensor, around: Tensor, first: Tensor) -> Tensor:
    """``⟨q, u⟩`` in units of the residual; no pass over them where u is 0."""
    return inners(q, u) / torch.where(first > 0, first, 1) if bool((around > 0).any()) else around


def _orthogonalise(Q: Tensor, w: Tensor, k: int, noise: float) -> Tensor:
    """Make ``Q[:, k + 1]`` of w; returns column k of H, float64 ``(samples, k + 2)`` on the CPU.

    What is left of a w within the span is rounding; that is taken for 0, and so is the next vector.
    """
    basis = Q[:, : k + 1]
    total = torch.zeros(len(w), k + 1, dtype=torch.float64)
    floor = left = total[:, 0]
    with outside(w):
        for again in range(1 + AGAIN):
            h = torch.bmm(basis, w[:, :, None])[..., 0]
            w = torch.baddbmm(w[:, None], h[:, None], basis, alpha=-1)[:, 0]
            (taken, left), _, columns = looked([h, w], also=h.mT)
            total = total + columns.mT
            if not again:
                floor = noise * (1 + torch.hypot(taken, left))  # 1 for q, of which w is a difference
            # What was just taken away measures how far from orthogonal w was.
            if not bool(((left < CANCELLED * taken) & (left > floor)).any()):
                break
        left = torch.where(left <= floor, 0, left)
        known = ((left > 0) & left.isfinite()).to(w.device)[:, None]
        Q[:, k + 1] = torch.where(known, w / _column(left, w), 0)
    return torch.cat((total, left[:, None]), 1)


def _least(H: Tensor, noise: float, along: Tensor, around: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Minimise ``‖e₁ − H c‖``: c, the minimum, and ``‖T(u + Q c)‖``, of each sample."""
    right = torch.zeros(*H.shape[:2], 1, dtype=H.dtype)
    right[:, 0] = 1
    basis, triangle = torch.linalg.qr(H)
    diagonal = triangle.diagonal(dim1=1, dim2=2)
    # Of a vector of zeros, as of one that I − Jᵀ takes to 0, nothing can be taken.
    empty = diagonal.abs() <= noise * torch.clamp(diagonal.abs().amax(1, keepdim=True), min=1)
    triangle = torch.where(torch.diag_embed(empty), 1, triangle)
    c = torch.linalg.solve_triangular(
        triangle, torch.where(empty[..., None], 0, basis.mT @ right), upper=True
    )
    left = (right - H @ c)[..., 0]
    inside = left + along
    inside[:, :-1] += c[..., 0]
    # T(u) is u, corrected, and its residual; what of u is outside of the space stays.
    outside_of_it = (around.square() - along.square().sum(1)).clamp(min=0).sqrt()
    reached = torch.hypot(torch.linalg.vector_norm(inside, dim=1), outside_of_it)
    return c[..., 0], torch.linalg.vector_norm(left, dim=1), reached
