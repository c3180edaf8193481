"""The local Lipschitz estimate, and iterating past the trained depth."""

from __future__ import annotations

import math

import pytest
import torch

from bench.measurement.jacobian_norm import jacobian_norm
from bench.measurement.past_depth import MULTIPLES, iterate_past
from tests.helpers.tensors import F64, draw


@pytest.mark.parametrize("seed", range(5))
def test_the_norm_is_that_of_the_dense_jacobian(seed):
    A, b, x = draw(seed, 6, 6), draw(seed + 50, 6), draw(seed + 90, 6)

    def T(x):
        return torch.tanh(A @ x + b)

    exact = torch.linalg.matrix_norm(torch.autograd.functional.jacobian(T, x), ord=2)
    found = jacobian_norm(T, x, 2000)
    assert found.value == pytest.approx(float(exact), rel=1e-9)
    assert found.residual < 1e-4
    assert jacobian_norm(T, x, 3).value <= float(exact) * (1 + 1e-12), "it must be a lower bound"


def test_the_norm_of_a_batch_is_that_of_its_worst_sample():
    scales = torch.tensor([0.3, 1.7, 0.9], dtype=F64).view(-1, 1, 1, 1)
    found = jacobian_norm(lambda x: scales * x.flip(3), draw(0, 3, 2, 4, 4))
    assert found.value == pytest.approx(1.7, rel=1e-12)
    assert found.residual < 1e-12


def test_a_residual_tells_of_an_unfinished_power_iteration():
    D = torch.linspace(0.9, 1.0, 50, dtype=F64)
    rough, fine = (jacobian_norm(lambda x: D * x, draw(0, 50), steps) for steps in (2, 4000))
    assert rough.residual > 1e-2 > 1e-5 > fine.residual
    assert rough.value < fine.value <= 1


def test_maps_without_a_slope_or_without_a_finite_one():
    x = draw(0, 2, 5)
    assert jacobian_norm(lambda x: torch.ones_like(x), x).value == 0
    assert jacobian_norm(lambda x: 0 * x, x).value == 0
    assert math.isnan(jacobian_norm(lambda x: (x - x.detach()).sqrt(), x).value)


def test_it_leaves_no_gradient_behind_and_works_without_grad_mode():
    theta = torch.ones((), dtype=F64, requires_grad=True)
    with torch.no_grad():
        assert jacobian_norm(lambda x: theta * x / 2, draw(0, 4)).value == pytest.approx(0.5)
    assert theta.grad is None


def distance(x):
    return -float(torch.linalg.vector_norm(x))


def test_a_contraction_settles_and_does_not_stall():
    calls = 0

    def T(x):
        nonlocal calls
        calls += 1
        return 0.9 * x + 1

    seen = iterate_past(T, torch.zeros(1, 4, dtype=F64), 5, lambda x: float(x[0, 0]), 10_000)
    assert seen.depths == [5 * m for m in MULTIPLES]
    assert seen.scores == [pytest.approx(10 * (1 - 0.9**depth)) for depth in seen.depths]
    assert seen.stalls is False
    # Once it no longer moves it is left alone: far fewer calls than 500.
    assert calls < 340
    assert seen.residuals[0] == pytest.approx(0.9**5 / (10 - 0.9**6 * 10))


def test_an_oscillation_stalls():
    seen = iterate_past(lambda x: 1 - x, torch.full((1, 4), 0.2, dtype=F64), 3, distance, 10_000)
    assert seen.stalls is True
    assert len(seen.residuals) == len(MULTIPLES)


def test_a_divergence_is_seen_and_its_last_state_kept():
    seen = iterate_past(lambda x: 2 * x, torch.ones(1, 4, dtype=F64), 5, distance, 10_000)
    assert seen.depths == [5 * m for m in MULTIPLES]
    assert seen.scores[0] == pytest.approx(-(2**5) * 2)
    assert all(math.isnan(s) for s in seen.scores[1:])
    assert seen.residuals[-1] == math.inf
    assert seen.stalls is True
    assert bool(seen.state.isfinite().all())


def test_a_nan_is_a_divergence():
    seen = iterate_past(lambda x: x / 0 * 0, torch.ones(1, 4, dtype=F64), 5, distance, 10_000)
    assert math.isnan(seen.scores[0])
    assert bool(seen.state.isfinite().all())


def test_no_more_applications_than_allowed():
    seen = iterate_past(lambda x: 1 - x, torch.zeros(1, 4, dtype=F64), 7, distance, 100)
    assert seen.depths == [7, 14, 35, 70]
    assert seen.stalls is None
