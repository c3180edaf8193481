"""Conjugate gradients for the adjoint equation, where J is symmetric."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .._core.argument_checks import stopping_rule
from .._core.batch import from_rows, inners, no_autocast, norms_and_inners, power_of_two, ratio, wide_rows
from .adjoint_map import AdjointOperator
from .refinement import Correction, RefinedSolver

SYMMETRIC = 1e-3
"""If directions that should be conjugate have a cosine above this, J is not symmetric."""
NOISE = 1e3
"""A residual below this many units of rounding says nothing about symmetry or curvature."""


@dataclass(frozen=True, slots=True)
class CG(RefinedSolver):
    """Conjugate gradients (Hestenes & Stiefel 1952) for ``(I − J)u = v``, with a symmetric J of eigenvalues below 1.

    J is symmetric for a gradient step, and for a forward–backward step whose data term is a multiple of the identity
    (denoising). The error falls by ``2((√κ−1)/(√κ+1))^k`` in k products (THEORY C15). If consecutive directions of a
    sample are not conjugate, or one has no positive curvature, then J is not symmetric or has an eigenvalue above 1:
    the sample stops there, and the others continue. Use ``GMRES`` for such a J.

    One more product measures the residual that the recurrence claims. A sample with a value that is not finite becomes
    nan, and no other sample does.

    Cost: one vector-Jacobian product a step, one to measure; seven vectors of the size of ``u``.

    Attributes:
        tol: relative residual ``‖v + Jᵀu − u‖ / ‖v + Jᵀu‖``, as for every forward solver.
        budget: maximal number of products.
        error: whether ``tol`` bounds the estimated relative error ``‖u − u*‖ / ‖u‖`` in place of the residual. The
            estimate is ``‖r‖² / (θ ‖p‖)`` with the residual r and the next direction p (Meurant & Tichý 2019, *Numer.
            Algorithms* 82), a bound if θ were the least eigenvalue of ``I − J``. It is the least Ritz value, which is
            no smaller. On published CRR weights it was 2 to 2.5 times the error, but for the first few products.

    Raises:
        ValueError: ``tol`` is not positive, or ``budget`` is below 1.
    """

    tol: float = 1e-6
    budget: int = 200
    error: bool = False

    def __post_init__(self) -> None:
        stopping_rule(self.tol, budget=self.budget)

    @property
    def _unknown_amplification(self) -> float:
        return math.inf if self.error else 1.0

    @property
    def workspace_vectors(self) -> int:
        """Vectors of the size of ``u`` that a solve holds at most while a product runs, beside v and ``u0``."""
        return 7

    def _correct(
        self, T: AdjointOperator, like: Tensor, u: Tensor, r: Tensor, size: int, amplification: Tensor
    ) -> Correction:
        start = u
        # Scale r to near 1 by a power of two, which changes no bit, so that squares of its entries do not vanish.
        unit = power_of_two(r)[:, None]
        u, r = (u.double() / unit).to(r), (r.double() / unit).to(r)
        x, p = torch.zeros_like(r), r
        square = inners(r, r)
        active = square > 0
        converged, unsuited, broken = ~active, torch.zeros_like(active), torch.zeros_like(active)
        noise = NOISE * torch.finfo(r.dtype).eps
        residual = torch.full_like(square, torch.inf)
        products = 0
        lanczos = _Lanczos(len(r))
        factor = amplification
        while products < size and bool(active.any()):
            A = p - wide_rows(T.linear(from_rows(p, like)))
            products += 1
            with no_autocast(p):
                curvature = inners(p, A)
                broken = broken | (active & ~curvature.isfinite())
                flat = active & (curvature <= 0)
                unsuited = unsuited | (flat & (residual > noise))
                active = active & ~(flat | broken)
                mask, length = as_mask(active, p), as_column(square / curvature, p)
                x = torch.where(mask, torch.addcmul(x, length, p), x)
                r = torch.where(mask, torch.addcmul(r, -length, A), r)
                # One transfer for all sizes that decide on the next direction; another below for that direction.
                (A_size, r_size, Tu_size), (after,), _ = norms_and_inners([A, r, u + x + r], [(r, r)])
                residual = torch.where(active, ratio(r_size, Tu_size), residual)
                p = torch.where(mask, torch.addcmul(r, as_column(after / square, r), p), 0)
                (p_size,), (p_A,), _ = norms_and_inners([p], [(p, A)])
                if self.error:
                    found = lanczos.inverse_bound(curvature / square, after / square, active)
                    found = torch.maximum(amplification, found * ratio(r_size, p_size))
                    factor = torch.where(active, found, factor)
                done = active & (residual * factor <= self.tol)
                cosine = p_A / (p_size * A_size)
                square = after
            converged = converged | done
            skew = active & ~done & (cosine.abs() > SYMMETRIC) & (residual > noise)
            unsuited = unsuited | skew
            active = active & ~(done | skew) & (after > 0)
            p = p if bool(active.all()) else torch.where(as_mask(active, p), p, 0)
        return Correction(start + (x.double() * unit).to(x), products, converged, unsuited, broken, factor)


class _Lanczos:
    """The tridiagonal matrix of ``I − J`` on each Krylov space, from the numbers of the recurrence."""

    def __init__(self, samples: int) -> None:
        self._matrix = torch.zeros(samples, 0, 0, dtype=torch.float64)
        self._carried = torch.zeros(samples, dtype=torch.float64)  # to the next diagonal entry
        self._beside = torch.zeros_like(self._carried)

    def inverse_bound(self, inverse_length: Tensor, ratio: Tensor, active: Tensor) -> Tensor:
        """Return ``1/θ`` with the smallest Ritz value θ after one more step, per sample.

        Args:
            inverse_length: ``⟨p, (I − J)p⟩ / ‖r‖²`` with the residual before the step.
            ratio: of the squares of the residuals, after and before.
            active: samples that made the step; the others keep their matrix.
        """
        k = self._matrix.shape[1]
        grown = torch.zeros(len(active), k + 1, k + 1, dtype=torch.float64)
        grown[:, :k, :k] = self._matrix
        # An eigenvalue of 1 changes no minimum: those of I − J have it on their way to convergence, or less.
        grown[:, k, k] = torch.where(active, inverse_length + self._carried, 1)
        if k:
            grown[:, k, k - 1] = grown[:, k - 1, k] = torch.where(active, self._beside, 0)
        self._matrix = grown
        self._carried, self._beside = inverse_length * ratio, inverse_length * ratio.sqrt()
        usable = grown.isfinite().all(2).all(1)
        safe = torch.where(usable[:, None, None], grown, torch.eye(k + 1, dtype=torch.float64))
        least = torch.linalg.eigvalsh(safe)[:, 0]
        return torch.where(usable & (least > 0), 1 / least, 1)


def as_mask(samples: Tensor, like: Tensor) -> Tensor:
    return samples.to(like.device)[:, None]


def as_column(values: Tensor, like: Tensor) -> Tensor:
    return values.to(like)[:, None]
