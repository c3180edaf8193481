"""What a step on a ridge regulariser rounds off, how far that moves its minimiser, and the step in float64."""

from __future__ import annotations

import pytest
import torch

from bench.config.lookup import parse_task
from bench.operators import data_fidelity
from bench.operators.data_fidelity import DataFidelity
from bench.operators.gradient_step import GradientStep
from bench.regularisers.ridge_bounds import RidgeBounds
from bench.tasks import Problem, build_problem
from bench.tasks.images import Layout, find_images
from solvers import QuasiNewton
from tests.helpers.problems import small_problem
from tests.helpers.tensors import F64, draw

UNIT = torch.finfo(F64).eps / 2


@pytest.mark.parametrize(
    "text", ["deblurring(crr)", "super_resolution(crr)", "tomography(crr)", "poisson(crr)"]
)
def test_the_rounding_of_the_data_term_is_in_the_bound(text, monkeypatch):
    problem = build_problem(parse_task(text), find_images(None), Layout(16, 1, 1), 0, dtype=F64)
    operator, batch = problem.operator, problem.train
    assert isinstance(operator, GradientStep)
    data, x = data_fidelity(batch.y, problem.physics), problem.start(batch)
    bounds = RidgeBounds.of(operator.step(), operator.regulariser, data)
    assert bounds is not None
    units, whole = data.rounding(), bounds.rounding(x)
    monkeypatch.setattr(DataFidelity, "rounding", lambda self: 0.0)
    assert whole - bounds.rounding(x) >= UNIT * bounds.tau * units * bounds.largest * float(x.norm()) > 0


def bounds_of(text: str, dtype: torch.dtype = F64) -> tuple[RidgeBounds, Problem]:
    problem = small_problem(text, size=16, dtype=dtype)
    operator = problem.operator
    assert isinstance(operator, GradientStep)
    bounds = RidgeBounds.of(operator.step(), operator.regulariser, problem.bind(problem.train).data)
    assert bounds is not None
    return bounds, problem


def test_rounding_moves_a_minimiser_less_than_any_error_of_the_step():
    bounds, problem = bounds_of("denoising(crr)")
    x, worst = problem.start(problem.train), 1 / (1 - bounds.L)
    found = bounds.distance(x, 0.0)
    assert 0 < 10 * found < worst * bounds.rounding(x)
    assert bounds.distance(x, 1e-3) - found == pytest.approx(1e-3 * worst)


def test_what_z_rounds_off_is_in_the_distance(monkeypatch):
    bounds, problem = bounds_of("denoising(crr)")
    x, moves = problem.start(problem.train), bounds.displacement()
    rest, turned, moved = bounds._rounded_parts(x)
    assert moves is not None
    assert bounds.distance(x, 0.0) >= rest / (1 - bounds.L) + moves * moved
    monkeypatch.setattr(RidgeBounds, "_rounded_parts", lambda self, x: (rest, turned, moved + 1e-6))
    assert bounds.distance(x, 0.0) >= moves * 1e-6


def test_the_distance_holds_at_random_images():
    bounds, problem = bounds_of("denoising(crr)")
    T, x0 = problem.bind(problem.train), problem.start(problem.train)
    with torch.no_grad():
        best = QuasiNewton(1e-13, 4000)(T, x0).x
        for seed in range(40):
            x = best + 10.0 ** (-seed // 4) * draw(seed, *best.shape)
            residual = float((T(x) - x).norm())
            assert float((x - best).norm()) <= bounds.distance(x, residual) + bounds.distance(best, 1e-13)


def test_a_regulariser_that_is_not_convex_has_the_distance_of_any_step():
    bounds, problem = bounds_of("denoising(wcrr)")
    x = problem.start(problem.train)
    assert bounds.displacement() is None
    assert bounds.distance(x, 1.0) >= 1.0


@pytest.mark.parametrize("text", ["denoising(crr)", "deblurring(crr(circular=True))"])
def test_the_step_in_float64_is_that_of_the_same_numbers_with_the_same_leaves(text):
    bounds, problem = bounds_of(text, torch.float32)
    narrow = problem.operator.regulariser
    wide = small_problem(text, size=16).operator.regulariser
    wide.load_state_dict(narrow.state_dict())
    x = problem.train.x0.double()
    promoted = bounds.in_float64()
    assert promoted is not None
    value, right = promoted(x), bounds._step(x, wide, problem.bind(problem.train).data.in_float64())
    assert torch.equal(value, right)
    u = draw(0, *x.shape)
    found = torch.autograd.grad(value, list(narrow.parameters()), u)
    expected = torch.autograd.grad(right, list(wide.parameters()), u)
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == torch.float32
        torch.testing.assert_close(a, b.float())
