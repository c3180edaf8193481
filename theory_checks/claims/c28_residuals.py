"""C28. The reported residual is that of the returned point, the best point of the solve.

Checked for every forward and every adjoint solver, on batches of samples of different sizes, in float64 and
float32, from any start, and after any number of restarts. The residual of the report is
``max_b ‖T(x)_b − x_b‖ / ‖T(x)_b‖`` at the returned x, measured by one more application. ``converged`` is true
exactly if that meets the tolerance. And if a sample of an accelerated solver has not converged, its point is
the best one whose residual was computed. Equalities, to the rounding of one application.

Source: the documentation of ``solvers.SolveReport``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import torch
from hypothesis import strategies as st
from torch import Tensor

from solvers import (
    CG,
    GMRES,
    AdjointSolver,
    Anderson,
    FixedPoint,
    ForwardSolver,
    Nesterov,
    Picard,
    QuasiNewton,
)

from ..engine import Claim, Sides, conjunction
from ..instances import Case, standard_normal, synthetic
from ..instances.adjoint_equation import RecordingMap, build_adjoint_equation, sample_residuals
from ..instances.batches import batch, in_float32, solver_map, solver_state, symmetric_batches, uneven

ROUNDINGS = 100.0
"""Difference of two evaluations of a residual that is allowed, in units of rounding."""
SAME = 0.01
"""Relative difference that is allowed, because a residual near rounding differs between two evaluations."""


@dataclass(frozen=True, slots=True)
class SolveCheck:
    """A solve, and its residuals measured independently.

    Attributes:
        equilibrium: the result with its report.
        residual: measured residual of each sample, of shape ``(samples,)``.
        rounding: part of a residual that may be rounding.
        better: by what fraction ``‖T(x) − x‖`` of the best recorded point is below that of the returned one.
    """

    equilibrium: FixedPoint
    residual: Tensor
    rounding: float
    better: float


def solve_forward(case: Case, forward_solver: ForwardSolver, single: bool, divisible: bool) -> SolveCheck:
    """Solve for the equilibrium of a batch.

    Args:
        case: a batch.
        forward_solver: the forward solver.
        single: use float32.
        divisible: let the solver leave out samples that have converged. Then the points it sees are not recorded.
    """
    case = in_float32(case)[1] if single else case
    T = solver_map(case, divisible)
    recorder = RecordingMap(T)
    with torch.no_grad():
        equilibrium = forward_solver(T if divisible else recorder, solver_state(case, case.x0))
    residual = sample_residuals(T, equilibrium.x)
    better = 0.0
    # With every = 1 the solver computes the residual of every point.
    if (
        isinstance(forward_solver, Anderson | Nesterov | QuasiNewton)
        and forward_solver.every == 1
        and not divisible
    ):
        better = _better(recorder, equilibrium.x, residual, forward_solver.tol)
    return SolveCheck(equilibrium, residual, ROUNDINGS * torch.finfo(case.x0.dtype).eps, better)


def _better(recorder: RecordingMap, x: Tensor, residual: Tensor, tol: float) -> float:
    """By what fraction the smallest recorded ``‖T(x) − x‖`` is below that of x, over samples above the tolerance."""
    sizes = torch.stack([torch.linalg.vector_norm(y.double() - x.double(), dim=1) for x, y in recorder.pairs])
    with torch.no_grad():
        final_size = torch.linalg.vector_norm(recorder.T(x).double() - x.double(), dim=1)
    gap = torch.where(residual > tol, final_size / sizes.amin(0).clamp_min(1e-300) - 1, 0.0)
    return float(gap.max())


def solve_adjoint(case: Case, adjoint: AdjointSolver, single: bool, far: bool) -> SolveCheck:
    """Solve the adjoint equation of a batch, from the cotangent, or from far away."""
    T = build_adjoint_equation(case, torch.float32 if single else torch.float64)
    start = 30 * standard_normal(case.samples, *T.v.shape).to(T.v) if far else T.v
    equilibrium = adjoint(T, start)
    return SolveCheck(
        equilibrium, sample_residuals(T, equilibrium.x), ROUNDINGS * torch.finfo(T.v.dtype).eps, 0.0
    )


def _sides(
    case: Case,
    solve: ForwardSolver | AdjointSolver,
    single: bool,
    other: bool,
    linear: bool,
    later: bool = False,
) -> Sides:
    adjoint = linear or isinstance(solve, GMRES | CG)  # every solver can solve the adjoint equation
    make = partial(solve_adjoint, far=other) if adjoint else partial(solve_forward, divisible=other)
    solved = make(case, solve, single)  # pyright: ignore[reportArgumentType]
    report, measured = solved.equilibrium.report, float(solved.residual.max())
    if later:  # the negative control: the residual of T(x)
        T = build_adjoint_equation(case, torch.float64) if adjoint else solver_map(case)
        measured = float(sample_residuals(T, T(solved.equilibrium.x).detach()).max())
    if math.isnan(report.residual):  # the solver reports that it measured none
        return Sides(float(report.converged is True), 0.0)
    tol: float = solve.tol  # pyright: ignore[reportAttributeAccessIssue]
    return conjunction(
        Sides(abs(report.residual - measured), SAME * measured + solved.rounding),
        Sides(float(report.converged != (report.residual <= tol)), 0.0),
        Sides(solved.better, 1e-3),
    )


tolerances = st.sampled_from((0.1, 1e-3, 1e-6))
budgets = st.sampled_from((5, 17, 60))
every = st.sampled_from((1, 3))
solves = st.one_of(
    st.builds(Picard, tolerances, budgets, every),
    st.builds(Anderson, tolerances, budgets, st.sampled_from((2, 4)), every),
    st.builds(Nesterov, tolerances, budgets, every),
    st.builds(QuasiNewton, tolerances, budgets, st.sampled_from((2, 10)), every),
    st.builds(GMRES, tolerances, budgets, st.sampled_from((2, 3, 30))),
    st.builds(CG, tolerances, budgets),
)

everywhere = st.one_of(
    st.builds(Anderson, st.just(1e-9), budgets, st.sampled_from((2, 4)), st.just(1)),
    st.builds(Nesterov, st.just(1e-9), budgets, st.just(1)),
    st.builds(QuasiNewton, st.just(1e-9), budgets, st.just(10), st.just(1)),
)
"""Solvers that compute the residual of every point, and pass their best point before the budget ends."""
restarted = st.builds(GMRES, st.sampled_from((1e-3, 1e-6)), st.sampled_from((5, 17)), st.just(3))
"""Restarted solves whose budget ends before the tolerance is met."""
conjugate = st.builds(CG, tolerances, budgets)
hard = st.builds(
    batch, st.integers(2, 3), st.integers(8, 12), st.just(1), st.sampled_from((0.9, 0.99)), synthetic.seeds
)
"""Batches on which budgets end before tolerances are met."""

CLAIM = Claim(
    id="C28",
    statement="a solver reports the residual of the point that it returns, the best point of the solve",
    source="solvers.SolveReport",
    assumptions="samples of a batch do not interact",
    examples=st.one_of(
        st.tuples(
            st.one_of(uneven, hard, symmetric_batches), solves, st.booleans(), st.booleans(), st.booleans()
        ),
        st.tuples(hard, everywhere, st.booleans(), st.just(False), st.just(False)),
        st.tuples(hard, restarted, st.booleans(), st.booleans(), st.just(True)),
        st.tuples(symmetric_batches, conjugate, st.booleans(), st.booleans(), st.just(True)),
    ),
    sides=_sides,
    negative_control=lambda case, solve, single, other, linear: _sides(
        case, solve, False, False, linear, later=True
    ),
    false_statement="it is that of T applied to the point",
    outside=lambda *_: None,
)
