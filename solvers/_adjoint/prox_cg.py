"""Conjugate gradients for the adjoint of two symmetric stages, such as a gradient step and a prox."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import torch
from torch import Tensor

from .._core.argument_checks import stopping_rule
from .._core.batch import (
    from_rows,
    inners,
    no_autocast,
    norms,
    norms_and_inners,
    power_of_two,
    ratio,
    wide_rows,
)
from .._core.maps import AdjointStages
from .adjoint_map import AdjointOperator, HasStages
from .cg import NOISE, as_column, as_mask
from .refinement import Correction, RefinedSolver

NO_STAGES = (
    "prox_cg needs a map that hands out the stages of its adjoint (SupportsStages), such as forward–backward or "
    "Douglas–Rachford with a convex penalty, and T has none: use gmres"
)


@dataclass(frozen=True, slots=True)
class ProxCG(RefinedSolver):
    """Conjugate gradients for ``(I − Jᵀ)u = v`` where ``Jᵀ = shift + H S`` with two symmetric stages S and H.

    ``I − Jᵀ`` is then its own adjoint in the inner product ``⟨S·, ·⟩``, so conjugate gradients in that inner product
    need short recurrences and no basis, whatever the image size and the number of steps. S is the derivative of the
    prox of forward–backward, which is positive semidefinite: no root of it is taken, and the error is smallest in the
    energy norm. For Douglas–Rachford S is that of a reflection, which is indefinite. There the residual jumps, so the
    point of the smallest residual on the line to each new point is kept (residual smoothing). If a step breaks down,
    the solve continues from there as from a new start.

    The last residual is added to the result: one application more, whose product the last step has made.

    Cost: one vector-Jacobian product a step, as one call of each stage; one application to find the stages; one
    product to measure. Four vectors of the size of ``u`` from a cold start, five from an earlier adjoint or in a second
    correction, and two more where S is indefinite.

    Attributes:
        tol: relative residual ``‖v + Jᵀu − u‖ / ‖v + Jᵀu‖``, as for every forward solver.
        budget: maximal number of products.

    Raises:
        ValueError: ``tol`` is not positive, or ``budget`` is below 1; in the backward pass, the map has no stages.

    Source: Hageman & Young, *Applied Iterative Methods* (1981), ch. 2 (symmetrisable systems); Freund & Nachtigal, *A
    new Krylov-subspace method for symmetric indefinite linear systems* (1994); Zhou & Walker, *Residual smoothing
    techniques for iterative methods* (1994), eq. 2.2.
    """

    tol: float = 1e-6
    budget: int = 200

    def __post_init__(self) -> None:
        stopping_rule(self.tol, budget=self.budget)

    @property
    def workspace_vectors(self) -> int:
        """Vectors of the size of ``u`` that a solve holds at most while a product runs, beside v and ``u0``."""
        return self.vectors(definite=False)

    def vectors(self, definite: bool) -> int:
        """``workspace_vectors`` where the inner stage has no negative eigenvalue, or may have one."""
        return 5 if definite else 7

    def _correct(
        self, T: AdjointOperator, like: Tensor, u: Tensor, r: Tensor, size: int, amplification: Tensor
    ) -> Correction:
        stages = T.stages() if isinstance(T, HasStages) else None
        if stages is None:
            raise ValueError(NO_STAGES)
        unit = power_of_two(r)[:, None]
        # Handed over without a name here, which would keep them alive.
        scaled = [(u.double() / unit).to(r), (r.double() / unit).to(r)]
        dtype = u.dtype
        del u, r
        with no_autocast(like):
            correction = self._conjugate(stages, like, scaled.pop(0), scaled.pop(0), size)
        return dataclasses.replace(correction, point=(correction.point.double() * unit).to(dtype))

    def _conjugate(self, stages: AdjointStages, like: Tensor, x: Tensor, r: Tensor, size: int) -> Correction:
        """Continue from x with the residual r."""
        definite = stages.definite

        def inner(a: Tensor) -> Tensor:
            return wide_rows(stages.inner(from_rows(a, like)))

        kept, kept_r = x, r  # smoothed; without smoothing the same tensors as x and r
        p, Sr = r, inner(r)
        Sp = Sr
        (r_size,), (square,), _ = norms_and_inners([r], [(r, Sr)])
        broken = ~square.isfinite()
        active = ~broken & ((square > 0) if definite else (square != 0))
        converged = ~broken & ~active if definite else r_size == 0
        unsuited = torch.zeros_like(active)
        residual = torch.full_like(square, torch.inf)
        noise = NOISE * torch.finfo(r.dtype).eps
        steps, inner_calls = 0, 1
        while steps + definite < size and bool(active.any()):
            A = torch.sub(
                p if not stages.shift else (1 - stages.shift) * p,
                wide_rows(stages.outer(from_rows(Sp, like))),
            )
            steps += 1
            (Sp_size, A_size), (curvature,), _ = norms_and_inners([Sp, A], [(Sp, A)])
            broken = broken | (active & ~curvature.isfinite())
            if definite:
                flat = active & (curvature <= 0)
                unsuited = unsuited | (flat & (residual > noise))
            else:
                flat = active & (curvature.abs() <= torch.finfo(r.dtype).eps * Sp_size * A_size)
            active = active & ~(flat | broken)
            mask, length = as_mask(active, p), as_column(square / curvature, p)
            x = torch.where(mask, torch.addcmul(x, length, p), x)
            r = torch.where(mask, torch.addcmul(r, -length, A), r)
            del A
            if definite:
                kept, kept_r = x, r  # before the call, which would otherwise find the former ones alive
                Sr = inner(r)
                inner_calls += 1
            else:
                kept, kept_r = _smoothed(active, kept, kept_r, x, r)
            # Where S is a projection, r need not vanish in its null space; the residual is Jᵀr once r is added.
            left, scale, r_size = norms(Sr if definite else kept_r, kept + kept_r, r)
            residual = torch.where(active, ratio(left, scale), residual)
            done = active & (residual <= self.tol)
            converged, active = converged | done, active & ~done
            # There too, ⟨r, Sr⟩ is rounding once so little of r is left outside the null space: start anew from Jᵀr.
            active = active & ~((left <= torch.finfo(r.dtype).eps ** 0.5 * r_size) & definite)
            if steps + definite >= size or not bool(active.any()):
                break
            if not definite:
                Sr = inner(r)
                inner_calls += 1
            after = inners(r, Sr)
            broken = broken | (active & ~after.isfinite())
            active = active & ~broken & ((after > 0) if definite else (after != 0))
            mask, ahead = as_mask(active, p), as_column(after / square, p)
            p = torch.where(mask, torch.addcmul(r, ahead, p), 0)
            Sp = torch.where(mask, torch.addcmul(Sr, ahead, Sp), 0)
            square, Sr = after, Sp  # the former Sr is not kept alive
        return Correction(kept + kept_r, max(steps, inner_calls), converged, unsuited, broken)


def _smoothed(active: Tensor, kept: Tensor, kept_r: Tensor, x: Tensor, r: Tensor) -> tuple[Tensor, Tensor]:
    """Return the point of the smallest residual on the line from ``kept`` to ``x``, and its residual."""
    change = r - kept_r
    (size,), (along,), _ = norms_and_inners([change], [(kept_r, change)])
    share = torch.where(active & (size > 0), -along / size / size, 0)
    weight = as_column(share, x)
    return torch.addcmul(kept, weight, x - kept), torch.addcmul(kept_r, weight, change)
