"""C28. A residual that is reported is that of the point that is returned, and no better point was seen.

The report of every reach and of every adjoint solve, on batches of samples of different sizes, in float64 and float32,
from any start, and after any number of restarts: its residual is ``max_b ‖T(x)_b − x_b‖ / ‖T(x)_b‖`` of what came with
it, as one more application shows; it says ``converged`` where that meets the tolerance, and nowhere else; and
where a sample of an accelerated reach has not converged, its point is the best of those at which it looked. Equality,
to the rounding of one application.

Source: what ``solvers.Report`` says of itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import torch
from hypothesis import strategies as st
from torch import Tensor

from solvers import CG, GMRES, Adjoint, Anderson, Equilibrium, Nesterov, Picard, Reach

from ..engine.claim import Claim
from ..engine.inequality import Sides, conjunction
from ..instances import synthetic
from ..instances.adjoint_equation import RecordingMap, build_adjoint_equation, sample_residuals
from ..instances.batches import batch, in_float32, solver_map, solver_state, symmetric_batches, uneven
from ..instances.synthetic import Case, standard_normal

ROUNDINGS = 100.0
"""Units of rounding by which two evaluations of a residual may differ."""
SAME = 0.01
"""Relative difference of two evaluations of a residual: where it is rounding itself, they differ by much of it."""


@dataclass(frozen=True, slots=True)
class SolveCheck:
    """What a solve left: its account, the residual of each sample, and how much of that is rounding."""

    at: Equilibrium
    residual: Tensor
    rounding: float
    better: float


def solve_forward(case: Case, reach: Reach, single: bool, divisible: bool) -> SolveCheck:
    """The equilibrium of a batch."""
    case = in_float32(case)[1] if single else case
    T = solver_map(case, divisible)
    seen = RecordingMap(T)
    with torch.no_grad():
        at = reach(T if divisible else seen, solver_state(case, case.x0))
    residual = sample_residuals(T, at.x)
    better = 0.0
    if (
        isinstance(reach, Anderson | Nesterov) and reach.every == 1 and not divisible
    ):  # every point is looked at
        better = _better(seen, at.x, residual, reach.tol)
    return SolveCheck(at, residual, ROUNDINGS * torch.finfo(case.x0.dtype).eps, better)


def _better(seen: RecordingMap, x: Tensor, residual: Tensor, tol: float) -> float:
    """By how much ``‖T(x) − x‖`` of a point that was seen is below that of the one returned, of the samples unmet."""
    sizes = torch.stack([torch.linalg.vector_norm(y.double() - x.double(), dim=1) for x, y in seen.pairs])
    with torch.no_grad():
        own = torch.linalg.vector_norm(seen.T(x).double() - x.double(), dim=1)
    gap = torch.where(residual > tol, own / sizes.amin(0).clamp_min(1e-300) - 1, 0.0)
    return float(gap.max())


def solve_adjoint(case: Case, adjoint: Adjoint, single: bool, far: bool) -> SolveCheck:
    """The adjoint equation of a batch, from the cotangent as estimators start it, or from far away."""
    T = build_adjoint_equation(case, torch.float32 if single else torch.float64)
    start = 30 * standard_normal(case.samples, *T.v.shape).to(T.v) if far else T.v
    at = adjoint(T, start)
    return SolveCheck(at, sample_residuals(T, at.x), ROUNDINGS * torch.finfo(T.v.dtype).eps, 0.0)


def _sides(
    case: Case, solve: Reach | Adjoint, single: bool, other: bool, linear: bool, later: bool = False
) -> Sides:
    adjoint = linear or isinstance(solve, GMRES | CG)  # any solve is one of the adjoint equation
    make = partial(solve_adjoint, far=other) if adjoint else partial(solve_forward, divisible=other)
    solved = make(case, solve, single)  # pyright: ignore[reportArgumentType]
    report, measured = solved.at.report, float(solved.residual.max())
    if later:  # the twin: the residual of T(x)
        T = build_adjoint_equation(case, torch.float64) if adjoint else solver_map(case)
        measured = float(sample_residuals(T, T(solved.at.x).detach()).max())
    if math.isnan(report.residual):  # it was not measured, and says so
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
    st.builds(GMRES, tolerances, budgets, st.sampled_from((2, 3, 30))),
    st.builds(CG, tolerances, budgets),
)

everywhere = st.one_of(
    st.builds(Anderson, st.just(1e-9), budgets, st.sampled_from((2, 4)), st.just(1)),
    st.builds(Nesterov, st.just(1e-9), budgets, st.just(1)),
)
"""What looks at every point, and goes past its best before the budget is spent."""
restarted, conjugate = st.builds(GMRES, tolerances, budgets, st.just(3)), st.builds(CG, tolerances, budgets)
hard = st.builds(
    batch, st.integers(2, 3), st.integers(8, 12), st.just(1), st.sampled_from((0.9, 0.99)), synthetic.seeds
)
"""Which budgets end before tolerances are met."""

CLAIM = Claim(
    id="C28",
    statement="the residual that a solve reports is that of the point it returns, which is the best it saw",
    source="solvers.Report",
    assumptions="samples of a batch do not interact",
    examples=st.one_of(
        st.tuples(
            st.one_of(uneven, hard, symmetric_batches),
            solves,
            st.booleans(),
            st.booleans(),
            st.booleans(),
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
