"""GMRES makes products on the samples that have not ended, where the adjoint operator can be restricted to them."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from solvers import GMRES, Anderson, implicit
from solvers.conformance import relative_error, start
from tests.helpers.adjoints import Each, residuals
from tests.helpers.known_maps import matrix
from tests.helpers.problems import small_problem
from tests.helpers.tensors import F64

SIZES = [0.2, 0.5, 0.9, 0.999]


class Selectable(Each):
    """Counts the rows that it multiplies, those of its selections as well."""

    def __init__(self, M, v, rows=None) -> None:
        super().__init__(M, v)
        self.rows = [0] if rows is None else rows

    def linear(self, u):
        self.rows[0] += len(u)
        return super().linear(u)

    def select(self, index):
        return Selectable(self.M[index], self.v[index], self.rows)


def batch(seed: int, n: int = 20) -> torch.Tensor:
    return torch.stack([matrix(n, size, seed + i) for i, size in enumerate(SIZES)])


@given(seed=st.integers(0, 100), order=st.permutations(range(4)), memory=st.sampled_from([4, 30]))
def test_samples_that_have_ended_get_no_product(seed, order, memory):
    M, v = batch(seed)[list(order)], start(4, 20) + 0.1
    whole = GMRES(1e-8, 400, memory)(Each(M, v), v)
    T = Selectable(M, v)
    at = GMRES(1e-8, 400, memory)(T, T.v)
    assert at.report.evaluations == pytest.approx(T.rows[0] / 4)
    assert float(residuals(Each(M, v), at.x).max()) == pytest.approx(at.report.residual, rel=1e-3, abs=1e-15)
    assert at.report.converged == whole.report.converged
    if at.report.converged:
        exact = torch.stack(
            [torch.linalg.solve(torch.eye(20, dtype=F64) - m, w) for m, w in zip(M, v, strict=True)]
        )
        torch.testing.assert_close(at.x, exact, rtol=1e-4, atol=1e-4)


def test_it_saves_what_the_hardest_sample_needs_alone():
    T = Selectable(batch(0), start(4, 20) + 0.1)
    report = GMRES(1e-8, 400)(T, T.v).report
    assert report.active_fraction < 0.85


def test_a_sample_that_breaks_leaves_the_others_as_they_are():
    M = batch(3)
    M[2] = math.nan
    T = Selectable(M, start(4, 20) + 0.1)
    at = GMRES(1e-8, 400)(T, T.v)
    assert bool(at.x[2].isnan().all())
    assert float(residuals(T, at.x)[[0, 1, 3]].max()) <= 1e-8


def test_the_gradient_of_a_batch_is_the_same_without_select():
    problem = small_problem("deblurring(l1)", train=4)
    T, criterion = problem.bind(problem.train), problem.criterion(problem.train)
    gradients = []
    for bound in (T, lambda x: T(x)):
        problem.operator.zero_grad()
        solution = implicit(Anderson(1e-8, 2000), GMRES(1e-8, 400))(bound, problem.start(problem.train))
        criterion(solution.x).backward()
        gradients.append(torch.cat([p.grad.flatten() for p in problem.operator.parameters()]))
        fraction = solution.adjoint[0].active_fraction
    assert fraction == 1
    assert relative_error(gradients[0], gradients[1]) < 1e-6
