"""An adjoint solve that starts at the adjoint of an earlier visit."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from solvers import CG, GMRES, Anderson, FixedSteps, Picard, SharedInverse, implicit, unrolled
from solvers._adjoint.warm_start import solve_from
from solvers.conformance import Contraction, relative_error, start
from tests.helpers.adjoints import Each, Linear, residuals
from tests.helpers.known_maps import matrix
from tests.helpers.tensors import F64, draw

SOLVES = [GMRES(1e-8), CG(1e-8), Anderson(1e-8), Picard(1e-8, 2000)]


def equation(samples: int = 3, n: int = 12, seed: int = 0) -> Linear:
    return Linear(matrix(n, 0.9, seed, symmetric=True), start(samples, n) + 0.1)


def exact(T: Linear) -> torch.Tensor:
    return torch.linalg.solve(torch.eye(len(T.M), dtype=F64) - T.M, T.v.T).T


@pytest.mark.parametrize("adjoint", SOLVES)
@pytest.mark.parametrize("factor", [1.0, 0.01, -3.0])
def test_a_multiple_of_the_adjoint_is_found_by_one_product(adjoint, factor):
    """A loss that has become smaller, or changed its sign, does not spoil the start."""
    T = equation()
    at = solve_from(factor * exact(T), adjoint, T)
    assert at.report.applications == T.products <= 2
    assert at.report.converged
    torch.testing.assert_close(at.x, exact(T), rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("adjoint", SOLVES)
def test_a_near_adjoint_saves_products(adjoint):
    T = equation(n=60)
    cold = adjoint(T, T.v).report.applications
    T.products = 0
    at = solve_from(exact(T) + 1e-4 * draw(1, 3, 60), adjoint, T)
    assert at.report.applications == T.products < 0.8 * cold
    assert float(residuals(T, at.x).max()) <= 1e-8


@given(seed=st.integers(0, 200), size=st.sampled_from([1e-3, 1.0, 1e6, 1e200]))
@pytest.mark.parametrize("adjoint", SOLVES)
def test_a_start_without_meaning_costs_the_product_that_measures_it(adjoint, seed, size):
    T = equation(1, 30, seed)
    cold = adjoint(T, T.v).report.applications
    at = solve_from(size * draw(seed + 7, 1, 30), adjoint, T)
    assert at.report.applications <= cold + 1
    assert float(residuals(T, at.x).max()) <= 1e-8


@given(seed=st.integers(0, 200), k=st.integers(1, 8))
def test_the_residual_of_a_start_is_no_longer_than_that_of_a_cold_one(seed, k):
    T = Each(torch.stack([matrix(6, 0.99, seed + i) for i in range(4)]), start(4, 6))
    u0 = 3.0 ** (k - 4) * draw(seed, 4, 6)
    at = solve_from(u0, GMRES(1e-300, 1), T)
    r = torch.linalg.vector_norm(T(at.x) - at.x, dim=1)
    assert bool((r <= torch.linalg.vector_norm(T.v, dim=1) * (1 + 1e-12)).all())


@pytest.mark.parametrize("adjoint", SOLVES)
@pytest.mark.parametrize("row", [0.0, math.nan, math.inf])
def test_samples_without_an_earlier_adjoint_start_cold(adjoint, row):
    T = equation()
    u0 = exact(T)
    u0[1] = row
    at = solve_from(u0, adjoint, T)
    assert float(residuals(T, at.x).max()) <= 1e-8
    everywhere = torch.full_like(u0, row)
    T.products = 0
    cold = adjoint(T, T.v)
    products, T.products = T.products, 0
    at = solve_from(everywhere, adjoint, T)
    assert T.products == at.report.applications == products
    assert torch.equal(at.x, cold.x)


def step(solver, T, u0=None):
    T.zero_grad()
    solution = solver(T, start(2, 6), None, u0)
    solution.x.square().sum().backward()
    return torch.cat([p.grad.flatten() for p in T.parameters()]), solution


@pytest.mark.parametrize("adjoint", [GMRES(1e-10), Anderson(1e-10), Picard(1e-10, 2000)])
def test_the_second_visit_of_a_solver_is_warm_and_exact(adjoint):
    T, solver = Contraction(), implicit(Anderson(1e-12), adjoint)
    cold, first = step(solver, T)
    assert [u.requires_grad for u in first.adjoints] == [False]
    warm, second = step(solver, T, first.adjoints[-1])
    assert second.vjps <= 3 < first.vjps
    assert relative_error(warm, cold) < 1e-8


def test_estimators_without_a_start_ignore_it():
    T = Contraction()
    for solver in (unrolled(4), implicit(Anderson(1e-10, shared=True), SharedInverse(2))):
        cold, first = step(solver, T)
        warm, second = step(solver, T, torch.ones(2, 6, dtype=F64))
        assert torch.equal(cold, warm)
        assert first.vjps == second.vjps
    assert step(unrolled(2), T)[1].adjoints == []


def test_a_series_that_starts_at_the_adjoint_is_exact():
    T, solver = Contraction(), implicit(Anderson(1e-12), FixedSteps(2))
    exact_gradient, at = step(implicit(Anderson(1e-12), GMRES(1e-12)), T)
    assert relative_error(step(solver, T)[0], exact_gradient) > 1e-3
    assert relative_error(step(solver, T, at.adjoints[-1])[0], exact_gradient) < 1e-9


@pytest.mark.parametrize(
    ("u0", "error", "words"),
    [
        ([1.0], TypeError, "u0 must be a Tensor like x0, an earlier solution.adjoints[-1], not a list"),
        (torch.zeros(2, 5, dtype=F64), ValueError, "u0 must have the shape (2, 6) of x0, not (2, 5)"),
        (torch.zeros(2, 6), TypeError, "u0 must have the dtype torch.float64 of x0, not torch.float32"),
    ],
)
def test_a_start_that_does_not_fit_is_refused_in_a_line(u0, error, words):
    with pytest.raises(error) as refused:
        step(implicit(Picard(1e-3), GMRES(1e-3)), Contraction(), u0)
    assert str(refused.value).startswith(words)
    assert "\n" not in str(refused.value)
