"""Start an adjoint solve at the adjoint of an earlier visit, whatever has changed since."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from .._core.batch import from_rows, norms_and_inners, wide_rows
from .._core.results import FixedPoint, SolveReport
from .adjoint_map import AdjointOperator, AdjointSolver
from .refinement import RefinedSolver
from .shine import SharedInverse

ALIGNED = 0.75**0.5
"""Cosine of v and ``(I − Jᵀ)u0`` at which the best multiple of u0 leaves half of v."""


def solve_from(u0: Tensor, solver: AdjointSolver, T: AdjointOperator) -> FixedPoint:
    """Solve the adjoint equation from the multiple of ``u0`` with the smallest residual, sample by sample.

    One product measures ``a = (I − Jᵀ)u0``, and the multiple is ``c = ⟨v, a⟩/‖a‖²``: a loss that has become smaller
    costs nothing. A sample whose residual ``v − c a`` is not below half of v, that of a cold start, starts cold, since
    what ``u0`` shares with v by chance lies in slow directions. A solver of the fixed point starts at ``v + c Jᵀu0``.

    Args:
        u0: of the shape and dtype of ``T.v``; 0, or a value that is not finite, for a sample to start cold.
        solver: the adjoint solver; ``SharedInverse`` has a start of its own.
        T: the adjoint operator.
    """
    if isinstance(solver, SharedInverse):
        return solver(T, T.v)
    u, v = wide_rows(u0), wide_rows(T.v)
    known = u.isfinite().all(1, keepdim=True)
    u = torch.where(known, u, 0)
    if not bool(u.any()):
        return solver(T, T.v)
    Ju = wide_rows(T.linear(from_rows(u, T.v)))
    a = u - Ju
    (size, v_size), (along,), _ = norms_and_inners([a, v], [(a, v)])
    # Divided by one size after the other: a square may be out of range though the multiple is not.
    c = along / size / size
    useful = c.isfinite() & (along.abs() >= ALIGNED * size * v_size) & (along != 0)
    if not bool(useful.any()):
        return _after_one(solver(T, T.v))
    c, mask = c.to(u)[:, None], useful.to(u.device)[:, None]
    y = torch.where(mask, v + c * Ju, v)
    del a, Ju
    if not isinstance(solver, RefinedSolver):
        return _after_one(solver(T, from_rows(y, T.v)))
    u = torch.where(mask, c * u, 0)
    r = y - u
    # Handed over without a name here, which would keep them alive during the solve.
    known_start = [u, y, r]
    del u, y, r
    return solver.improve(T, T.v, known_start.pop(0), known_start.pop(0), known_start.pop(0), 1)


def _after_one(at: FixedPoint) -> FixedPoint:
    """Count the product that measured the start."""
    return replace(at, report=SolveReport(1).combined_with(at.report))
