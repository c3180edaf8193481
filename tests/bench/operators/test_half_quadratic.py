"""Half-quadratic splitting: its factor, and the equilibrium of its own; float64."""

from __future__ import annotations

import itertools

import pytest
import torch

from bench.operators import forward_backward, half_quadratic
from bench.operators.normal import normal_operator
from bench.penalties import huber, union
from tests.helpers.energy import energy
from tests.helpers.penalties import dense
from tests.helpers.splittings import PENALTIES, PHYSICS, SHAPE, blur, equilibrium, lost, measured, operator_of
from tests.helpers.tensors import draw


@pytest.mark.parametrize("gamma", [0.2, 1.0, 10.0])
@pytest.mark.parametrize("make", [blur, lost])
@pytest.mark.parametrize("penalty", [huber(0.05, 0.2), union(0.05, 0.2)], ids=lambda p: p.label)
def test_its_factor_is_attained_where_the_penalty_is_linear(penalty, make, gamma):
    physics = make()
    operator = operator_of(half_quadratic(gamma), penalty, physics)
    values = normal_operator(physics).eigenvalues()
    factor = operator.contraction((float(values.min()), float(values.max())))
    assert factor < 1
    y, at = measured(physics)[:1], operator.start(draw(0, 1, *SHAPE)).detach()
    J = dense(operator.bind(y, physics), at.shape, at)
    assert torch.linalg.matrix_norm(J, ord=2) <= factor * (1 + 1e-12)
    operator.prior.log_weights.data.fill_(-800.0)
    J = dense(operator.bind(y, physics), at.shape, at)
    assert float(torch.linalg.matrix_norm(J, ord=2)) == pytest.approx(factor, rel=1e-10)


@pytest.mark.parametrize("physics", PHYSICS)
@pytest.mark.parametrize("penalty", PENALTIES[1:], ids=lambda p: p.label)
def test_its_equilibrium_minimises_the_penalty_and_the_envelope_of_the_data_term(penalty, physics):
    """``g(s) + min_x f(x) + ‖x − s‖²/(2γ)``, with the inner minimum at ``prox_{γf}(s)``."""
    made, gamma = PHYSICS[physics](), 2.0
    y = measured(made)
    operator = operator_of(half_quadratic(gamma), penalty, made)
    T, prior, ridge = operator.bind(y, made), operator.prior, operator.ridge
    with torch.no_grad():
        s = operator.start(y)
        for _ in range(400):
            s = T(s)
        assert (T(s) - s).norm() < 1e-12

        def value(s, x):
            data = 0.5 * (made.A(prior.image(x)) - y).square().sum()
            data = data + ridge / 2 * (x - prior.grey()).square().sum()
            return energy(prior, s).sum() + data + (x - s).square().sum() / (2 * gamma)

        x = operator.data_prox(s, T.data)
        best = value(s, x)
        for seed, size in enumerate((1e-4, 1e-2, 1.0)):
            u = size * draw(seed, *s.shape)
            assert value(s + u, operator.data_prox(s + u, T.data)) > best
            assert value(s, x + u) > best
            assert value(s + u, x) > best


def test_its_equilibrium_tends_to_that_of_the_others_as_gamma_vanishes():
    physics, penalty = blur(), huber(0.05, 0.2)
    y = measured(physics)
    exact = equilibrium(operator_of(forward_backward(), penalty, physics), y, physics)
    gaps = []
    for gamma in (1.0, 0.1, 0.01):
        found = equilibrium(operator_of(half_quadratic(gamma), penalty, physics), y, physics)
        gaps.append(float((found - exact).norm() / exact.norm()))
    assert not half_quadratic().same_equilibrium
    assert gaps[0] > 0.01
    assert all(3 < a / b < 30 for a, b in itertools.pairwise(gaps))
