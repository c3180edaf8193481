"""Conjugate gradients for the adjoint equation, where J is symmetric."""

# torch.linalg carries no types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .._core.argument_checks import at_least, positive
from .._core.batch import back, inners, looked, outside, power, ratio, wide
from .._core.results import FixedPoint
from . import refinement
from .adjoint_map import AdjointOperator
from .refinement import Correction

SYMMETRIC = 1e-3
"""Directions that should be conjugate and are not, by more than this cosine, prove that J is not symmetric."""
NOISE = 1e3
"""Below this many units of rounding a residual proves nothing."""


@dataclass(frozen=True, slots=True)
class CG:
    """``(I − J)u = v`` by conjugate gradients (Hestenes & Stiefel 1952), for symmetric J with eigenvalues below 1.

    That is the J of a gradient step, or of a forward–backward step whose data term is a multiple of the identity
    (denoising). Its error falls by ``2((√κ−1)/(√κ+1))^k`` in k products (THEORY C15). Where consecutive
    directions of a sample turn out not to be conjugate, or one has no positive curvature, that sample stops where it
    is, for J is not symmetric or has eigenvalues above 1, and the others go on. Use ``GMRES`` there. What the
    recurrence claims is measured by one more product, and a sample with a value that is not finite becomes ``nan``,
    as in ``GMRES``.

    Cost: one vector-Jacobian product a step, and one to measure; five vectors of the size of ``u``.

    Attributes:
        tol: ``‖v + Jᵀu − u‖ / ‖v + Jᵀu‖`` to reach, as for every other reach.
        budget: products at most.

    Raises:
        ValueError: ``tol`` is not positive, or ``budget`` is below 1.
    """

    tol: float = 1e-6
    budget: int = 200

    def __post_init__(self) -> None:
        positive("tol", self.tol)
        at_least("budget", self.budget, 1)

    def __call__(self, T: AdjointOperator, u0: Tensor, /) -> FixedPoint:
        return refinement.solve_by_refinement(T, u0, self._directions, self.tol, self.budget)

    def _directions(self, T: AdjointOperator, like: Tensor, u: Tensor, r: Tensor, size: int) -> Correction:
        """u corrected along at most ``size`` conjugate directions."""
        # Near 1, and of the same bits: r may be so small that products of its entries vanish.
        unit = power(r)[:, None]
        u, r = (u.double() / unit).to(r), (r.double() / unit).to(r)
        x, p = torch.zeros_like(r), r
        square = inners(r, r)
        active = square > 0
        claimed, refused, lost = ~active, torch.zeros_like(active), torch.zeros_like(active)
        proof = NOISE * torch.finfo(r.dtype).eps
        residual = torch.full_like(square, torch.inf)
        made = 0
        while made < size and bool(active.any()):
            A = p - wide(T.linear(back(p, like)))
            made += 1
            with outside(p):
                curvature = inners(p, A)
                lost = lost | (active & ~curvature.isfinite())
                flat = active & (curvature <= 0)
                refused = refused | (flat & (residual > proof))
                active = active & ~(flat | lost)
                chosen, length = _rows(active, p), _column(square / curvature, p)
                x = torch.where(chosen, torch.addcmul(x, length, p), x)
                r = torch.where(chosen, torch.addcmul(r, -length, A), r)
                # What a step needs to know, in two looks: the second is at what the first decides.
                (A_size, size_of_r, size_of_Tu), (after,), _ = looked([A, r, u + x + r], [(r, r)])
                residual = torch.where(active, ratio(size_of_r, size_of_Tu), residual)
                reached = active & (residual <= self.tol)
                p = torch.where(chosen, torch.addcmul(r, _column(after / square, r), p), 0)
                (p_size,), (along,), _ = looked([p], [(p, A)])
                cosine = along / (p_size * A_size)
                square = after
            claimed = claimed | reached
            skew = active & ~reached & (cosine.abs() > SYMMETRIC) & (residual > proof)
            refused = refused | skew
            active = active & ~(reached | skew) & (after > 0)
            p = p if bool(active.all()) else torch.where(_rows(active, p), p, 0)
        return Correction((x.double() * unit).to(x), made, claimed, refused, lost)


def _rows(chosen: Tensor, like: Tensor) -> Tensor:
    return chosen.to(like.device)[:, None]


def _column(values: Tensor, like: Tensor) -> Tensor:
    return values.to(like)[:, None]
