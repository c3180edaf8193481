"""GMRES for the adjoint equation, a Krylov space for each sample."""

# torch.linalg carries no types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ._adjoint import Affine
from ._batch import norms, ratio, rows
from ._core import Equilibrium, Report, at_least, positive

CANCELLED = 0.1
"""Once orthogonalisation has left less than this share of a vector, it is done again: twice is enough."""


@dataclass(frozen=True, slots=True)
class GMRES:
    """``(I − Jᵀ)u = v`` by generalised minimal residuals (Saad & Schultz 1986), for any J.

    After k products u minimises ``‖v − (I − Jᵀ)u‖`` over the span of ``v, Jᵀv, …, (Jᵀ)^{k−1}v``, of which the
    Neumann series is one member. Started at ``v``, it goes back to 0, whose residual is known without a product.
    It begins again once ``memory`` products are made, and ends when every sample has reached ``tol``. In every
    space but the first ‖v + Jᵀu‖ is taken from where that began.

    Cost: one vector-Jacobian product a step, ``memory + 1`` vectors of the size of ``u``.

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

    def __call__(self, T: Affine, u0: Tensor, /) -> Equilibrium:
        v = rows(T.v)
        made = 0
        if u0 is T.v:
            u, r = torch.zeros_like(v), v
        else:
            u = rows(u0)
            r = rows(T(u0)) - u
            made = 1
        return self.improve(T, u0, u, r, made)

    def improve(self, T: Affine, like: Tensor, u: Tensor, r: Tensor, made: int = 0) -> Equilibrium:
        """Go on from ``u``, whose residual ``r = v + Jᵀu − u`` is known after ``made`` products.

        Args:
            T: the adjoint map.
            like: what the solution is to have the shape of.
            u, r: ``(samples, entries)``.
            made: products so far.
        """
        residual = ratio(*norms(r, u + r))
        while float(residual.max()) > self.tol and made < self.budget:
            u, residual, steps = self._space(T, like, u, r, min(self.memory, self.budget - made))
            made += steps
            if float(residual.max()) <= self.tol or made >= self.budget:
                break
            y = rows(T(u.view_as(like)))
            made += 1
            r = y - u
            residual = ratio(*norms(r, y))
        worst = float(residual.max())
        return Equilibrium(u.view_as(like), Report(made, worst, worst <= self.tol))

    def _space(self, T: Affine, like: Tensor, u: Tensor, r: Tensor, size: int) -> tuple[Tensor, Tensor, int]:
        """u corrected in a Krylov space of at most ``size`` dimensions, its residual, and the products made."""
        first = torch.linalg.vector_norm(r, dim=1, keepdim=True)
        Q = r.new_empty(r.shape[0], size + 1, r.shape[1])
        torch.div(r, torch.where(first > 0, first, 1), out=Q[:, 0])
        start = first.double().cpu()
        around = norms(u)[0]
        H = torch.zeros(len(r), size + 1, size, dtype=torch.float64)
        best = torch.zeros(len(r), size, dtype=torch.float64)
        residual = torch.full((len(r),), math.inf, dtype=torch.float64)
        k = 0
        while k < size:
            q = Q[:, k]
            w = q - rows(T.linear(q.reshape(like.shape)))
            H[:, : k + 2, k] = _orthogonalise(Q, w, k)
            k += 1
            weights, left, reached = _least(H[:, : k + 1, :k], start)
            size_of_Tu = reached if float(around.max()) == 0 else around
            working = residual > self.tol
            residual = torch.where(working, ratio(left, size_of_Tu), residual)
            best[:, :k] = torch.where(working[:, None], weights, best[:, :k])
            if not bool((residual > self.tol).any()) or not bool(H[:, k, k - 1].any()):
                break
        correction = torch.bmm(best[:, :k].to(u)[:, None], Q[:, :k])[:, 0]
        return u + correction, residual, k


def _orthogonalise(Q: Tensor, w: Tensor, k: int) -> Tensor:
    """Make ``Q[:, k + 1]`` of w; returns column k of H, float64 ``(samples, k + 2)`` on the CPU."""
    basis = Q[:, : k + 1]
    total = w.new_zeros(len(w), k + 1)
    while True:
        h = torch.bmm(basis, w[:, :, None])[..., 0]
        w = torch.baddbmm(w[:, None], h[:, None], basis, alpha=-1)[:, 0]
        total = total + h
        size = torch.linalg.vector_norm(w, dim=1)
        column = torch.cat((total, size[:, None], h), 1).double().cpu()
        left, taken = column[:, k + 1], torch.linalg.vector_norm(column[:, k + 2 :], dim=1)
        # What was just taken away measures how far from orthogonal w was.
        if not bool((left < CANCELLED * taken).any()) or not bool((taken > 0).any()):
            break
    torch.div(w, torch.where(size > 0, size, 1)[:, None], out=Q[:, k + 1])
    return column[:, : k + 2]


def _least(H: Tensor, start: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Minimise ``‖β e₁ − H c‖``: c, the minimum, and ``‖T(u)‖`` for ``u = Q c``, of each sample."""
    right = torch.zeros(*H.shape[:2], 1, dtype=H.dtype)
    right[:, 0] = start
    basis, triangle = torch.linalg.qr(H)
    # A cotangent of zero has a triangle of zeros, and the solution zero.
    empty = triangle.diagonal(dim1=1, dim2=2) == 0
    c = torch.linalg.solve_triangular(triangle + torch.diag_embed(empty.to(H)), basis.mT @ right, upper=True)
    left = right - H @ c
    reached = left.clone()
    reached[:, :-1] += c
    return (
        c[..., 0],
        torch.linalg.vector_norm(left, dim=(1, 2)),
        torch.linalg.vector_norm(reached, dim=(1, 2)),
    )
