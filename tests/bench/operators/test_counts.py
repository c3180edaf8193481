"""Counts of photons: noise, weights, and the data term with them."""

from __future__ import annotations

import pytest
import torch
from deepinv.physics import BlurFFT

from bench.operators import data_fidelity
from bench.operators.counts import CountedBlur, WeightedNormal
from bench.tasks import build_problem
from bench.tasks.images import Layout, find_images
from bench.tasks.poisson import poisson
from bench.utils.errors import UserError
from solvers import Anderson
from tests.helpers.energy import energy as penalty_energy
from tests.helpers.physics import KERNEL, N, draw, operator
from tests.helpers.tensors import F64


def counted(photons=30.0):
    return CountedBlur(BlurFFT((1, N, N), KERNEL), photons)


def counts(physics, seed=0):
    truth = draw(3, 2, 1, N, N)
    return physics.draw(physics.A(truth), torch.Generator().manual_seed(seed))


def test_counts_are_whole_numbers_of_photons_with_their_mean_and_variance():
    physics, truth = counted(10.0), 0.5 * torch.ones(1, 1, N, N, dtype=F64)
    clean = physics.A(truth)
    rng = torch.Generator().manual_seed(0)
    draws = torch.stack([physics.draw(clean, rng) for _ in range(400)])
    torch.testing.assert_close((10 * draws).round(), 10 * draws, rtol=0, atol=1e-9)
    assert float(draws.mean() / clean.mean()) == pytest.approx(1, abs=0.02)
    assert float(draws.var(0).mean() / (clean / 10).mean()) == pytest.approx(1, abs=0.02)


def test_the_descent_is_that_of_the_weighted_least_squares():
    physics = counted()
    y, x = counts(physics), draw(4, 2, 1, N, N).requires_grad_()
    weights = 1 / (30 * y).clamp_min(1)
    value = 0.5 * (weights * (physics.A(x) - y).square()).sum()
    (gradient,) = torch.autograd.grad(value, x)
    torch.testing.assert_close(data_fidelity(y, physics).descent(x).detach(), -gradient, rtol=0, atol=1e-13)


def test_the_weighted_least_squares_are_the_likelihood_at_second_order():
    """Where every pixel has a count, ``p²`` times its second derivative is that of the likelihood at ``h*x = y``."""
    y = torch.tensor([0.2, 0.5, 1.0], dtype=F64)
    p = 100.0
    mean = y.clone().requires_grad_()
    likelihood = (p * mean - p * y * mean.log()).sum()
    (slope,) = torch.autograd.grad(likelihood, mean, create_graph=True)
    (curvature,) = torch.autograd.grad(slope.sum(), mean)
    torch.testing.assert_close(slope.detach(), torch.zeros_like(y), rtol=0, atol=1e-10)
    torch.testing.assert_close(p**2 * counted(p).weights(y), curvature, rtol=1e-12, atol=0)


def test_the_bounds_hold_the_eigenvalues_of_the_dense_matrix():
    physics = counted()
    data = data_fidelity(counts(physics)[:1], physics)
    assert isinstance(data.normal, WeightedNormal)
    basis = torch.eye(N * N, dtype=F64).view(-1, 1, 1, N, N)
    matrix = torch.stack([data.normal(e).flatten() for e in basis], 1)
    values = torch.linalg.eigvalsh(matrix)
    spectrum = data.spectrum()
    assert spectrum is not None
    assert spectrum[0] <= float(values[0])
    assert float(values[-1]) <= spectrum[1] <= 1 + 1e-12
    assert physics.spectrum((1, N, N)).largest >= spectrum[1]


def test_a_part_of_a_batch_has_its_own_weights():
    physics = counted()
    y, x = counts(physics), draw(4, 2, 1, N, N)
    data = data_fidelity(y, physics)
    part = data.select(torch.tensor([1])).descent(x[1:])
    torch.testing.assert_close(part, data.descent(x)[1:], rtol=0, atol=1e-14)


def test_the_derivative_in_the_counts_is_whole():
    physics, at = counted(), draw(4, 2, 1, N, N)
    y = (counts(physics) + 0.5).requires_grad_()
    (found,) = torch.autograd.grad((data_fidelity(y, physics).descent(at) * at).sum(), y)
    weights = 1 / (30 * y).clamp_min(1)
    plain = physics.A_adjoint(weights * (y - physics.A(at)))
    (expected,) = torch.autograd.grad((plain * at).sum(), y)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-13)


@pytest.mark.misuse("counts below 0, or not finite", "refused: counts must be finite and not negative")
@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf")])
def test_negative_counts_get_one_clear_line(value):
    physics = counted()
    y = counts(physics)
    y[0, 0, 0, 0] = value
    with pytest.raises(UserError, match="counts must be finite and not negative"):
        operator().bind(y, physics)


def test_the_equilibrium_minimises_the_weighted_energy():
    problem = build_problem(poisson(), find_images(), Layout(32, 2, 1), 0, dtype=F64)
    batch, physics = problem.train, problem.physics
    weights = 1 / (30 * batch.y).clamp_min(1)

    def energy(x):
        data = 0.5 * (weights * (physics.A(x) - batch.y).square()).flatten(1).sum(1)
        return data + penalty_energy(problem.operator.prior, x)

    with torch.no_grad():
        star = Anderson(1e-12, 3000)(problem.bind(batch), batch.x0).x
        for size in (1e-3, 1e-1):
            assert (energy(star + size * torch.randn_like(star)) > energy(star)).all()
