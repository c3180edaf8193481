"""Conjugate gradients for the adjoint equation, where J is symmetric."""

# torch.linalg carries no types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ._adjoint import Affine
from ._batch import norms, ratio, rows
from ._core import Equilibrium, Report, at_least, positive

SYMMETRIC = 1e-3
"""Directions that should be conjugate and are not, by more than this cosine, prove that J is not symmetric."""


@dataclass(frozen=True, slots=True)
class CG:
    """``(I − J)u = v`` by conjugate gradients (Hestenes & Stiefel 1952), for symmetric J with eigenvalues below 1.

    That is the J of a gradient step, or of a forward–backward step whose data term is a multiple of the identity
    (denoising). Its error falls by ``2((√κ−1)/(√κ+1))^k`` in k products (THEORY C15). Where consecutive
    directions turn out not to be conjugate, J is not symmetric; the solve then stops where it is and reports
    what one more product says of its residual. Use ``GMRES`` there.

    Cost: one vector-Jacobian product a step, four vectors of the size of ``u``.

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

    def __call__(self, T: Affine, u0: Tensor, /) -> Equilibrium:
        made = 0
        if u0 is T.v:  # from 0, whose residual is v, known without a product
            u, r = torch.zeros_like(rows(u0)), rows(T.v)
        else:
            u = rows(u0)
            r = rows(T(u0)) - u
            made = 1
        p = r
        residual = ratio(*norms(r, u + r))
        power = (r * r).sum(1, keepdim=True)
        while float(residual.max()) > self.tol and made < self.budget:
            A = p - rows(T.linear(p.reshape(u0.shape)))
            made += 1
            curvature = (p * A).sum(1, keepdim=True)
            # Converged samples stand still: their r, and with it their p, is 0 or as good as that.
            step = torch.where(curvature > 0, power / curvature, 0)
            u, r = torch.addcmul(u, step, p), torch.addcmul(r, step, A, value=-1)
            indefinite = (curvature <= 0) & (power > 0)
            after = (r * r).sum(1, keepdim=True)
            residual = ratio(*norms(r, u + r))
            p = torch.addcmul(r, torch.where(power > 0, after / power, 0), p)
            power = after
            conjugate = (p * A).sum(1) / (p.norm(dim=1) * A.norm(dim=1))
            skew = bool((conjugate.abs() > SYMMETRIC).any()) and float(residual.max()) > self.tol
            if skew or bool(indefinite.any()):
                return self._measured(T, u, u0, made)
        worst = float(residual.max())
        return Equilibrium(u.view_as(u0), Report(made, worst, worst <= self.tol))

    def _measured(self, T: Affine, u: Tensor, like: Tensor, made: int) -> Equilibrium:
        u = u.view_as(like)
        if made < self.budget:
            y = T(u)
            worst = float(ratio(*norms(rows(y - u), rows(y))).max())
            return Equilibrium(u, Report(made + 1, worst, worst <= self.tol))
        return Equilibrium(u, Report(made, converged=False))
