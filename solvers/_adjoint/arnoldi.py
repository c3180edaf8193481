"""Steps of the Arnoldi process for ``I − Jᵀ``, with a Krylov space for each sample."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import torch
from torch import Tensor

from .._core.batch import inners, no_autocast, norms_and_inners

CANCELLED = 0.1
"""Orthogonalise again if less than this fraction of a vector is left: its small rest is mostly rounding."""
AGAIN = 2
"""Maximal number of repetitions. One is enough (Giraud et al. 2005); what a second leaves is rounding."""
NOISE = 10.0
"""Below this many units of rounding a new basis vector is 0: the Krylov space is exhausted."""


def divisor(size: Tensor, like: Tensor) -> Tensor:
    """Return positive sizes as a column to divide ``like`` by; 1 in place of 0."""
    return torch.where(size > 0, size, 1).to(like)[:, None]


def component(q: Tensor, u: Tensor, u_size: Tensor, r_size: Tensor) -> Tensor:
    """Return ``⟨q, u⟩ / ‖r‖``, without a pass over q if u is 0."""
    return inners(q, u) / torch.where(r_size > 0, r_size, 1) if bool((u_size > 0).any()) else u_size


def orthogonalise(Q: Tensor, w: Tensor, k: int, noise: float) -> Tensor:
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
        Q[:, k + 1] = torch.where(usable, w / divisor(left, w), 0)
    return torch.cat((total, left[:, None]), 1)


def least_squares(H: Tensor, noise: float, along: Tensor, u_size: Tensor) -> tuple[Tensor, Tensor, Tensor]:
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
