"""Shrinkage and prox."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bench.penalties import (
    Groups,
    Penalty,
    WeightedPenalty,
    huber,
)
from tests.helpers.energy import energy as penalty_energy
from tests.helpers.penalties import built, every, scatter, seeds, small, state_shape
from tests.helpers.tensors import F64, draw


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("ridge", [0.0, 0.3])
def test_the_shrinkage_and_its_gradients_are_the_textbooks(smoothing, ridge):
    """``z − clamp(slope·z, ±t)`` over ``1 + τε``, place by place, at random weights."""
    penalty = scatter(small(Penalty("x", smoothing, ridge)).build((3, 8, 8), F64), 0)
    c, v = 0.5 * draw(1, 2, 3, 8, 8), draw(2, 2, 3, 8, 8)
    c.requires_grad_()
    tau = torch.tensor(0.7, dtype=F64, requires_grad=True)
    inputs = (c, penalty.log_weights, tau)
    w = torch.nn.functional.pad(penalty.log_weights.exp().flatten(1), (1, 0))[:, penalty.wavelets.bands]
    t, k = tau * w, 1 + tau * ridge
    expected = (c - torch.clamp(c * t / (smoothing * k + t) if smoothing else c, -t, t)) / k
    found = penalty.shrink(c, tau)
    torch.testing.assert_close(found, expected, rtol=1e-13, atol=1e-15)
    one, two = (torch.autograd.grad(out, inputs, v) for out in (found, expected))
    for a, b in zip(one, two, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-13)


def test_groups_of_one_are_l1():
    one = small(huber(0.1, 0.2)).build((1, 8, 8), F64)
    for smoothing, ridge in ((0.0, 0.0), (0.1, 0.2)):
        plain = WeightedPenalty(one.wavelets, torch.full((1, 2, 3), 0.3, dtype=F64), smoothing, ridge)
        group = WeightedPenalty(
            one.wavelets, torch.full((1, 2, 3), 0.3, dtype=F64), smoothing, ridge, Groups(colours=True)
        )
        z, tau = draw(0, 2, 1, 8, 8), torch.tensor(0.7, dtype=F64)
        torch.testing.assert_close(group.prox(z, tau), plain.prox(z, tau), rtol=0, atol=1e-14)
        torch.testing.assert_close(penalty_energy(group, z), penalty_energy(plain, z), rtol=1e-13, atol=0)


@every
@given(seed=seeds, step=st.floats(0.1, 3))
def test_the_prox_minimises_its_problem(prior, seed, step):
    """By the subgradient inequality at far, near and aligned points, which is the whole of optimality."""
    penalty, tau = built(prior, seed), torch.tensor(step, dtype=F64)
    z = 0.7 * draw(seed + 2, *state_shape(prior)) + 0.2
    with torch.no_grad():
        p = penalty.prox(z, tau)

        def objective(s):
            return penalty_energy(penalty, s) + (s - z).square().sum() / (2 * tau)

        best = objective(p)
        others = [p + size * draw(seed + 3, *p.shape) for size in (1e-3, 1e-2, 0.1, 1.0)]
        for other in (*others, p + 1e-3 * (z - p), 0.9 * p, torch.zeros_like(p)):
            gap = other - p
            convex = ((z - p) * gap).sum() / tau + prior.ridge / 2 * gap.square().sum()
            assert (
                penalty_energy(penalty, other) >= (penalty_energy(penalty, p) + convex) * (1 - 1e-12) - 1e-12
            )
            assert objective(other) >= best * (1 - 1e-14)


@every
@given(seed=seeds, step=st.floats(0.1, 3))
def test_the_prox_is_firmly_nonexpansive_and_contracts_by_its_ridge(prior, seed, step):
    penalty, tau = built(prior, seed), torch.tensor(step, dtype=F64)
    x, y = draw(seed + 2, *state_shape(prior)), 0.2 * draw(seed + 3, *state_shape(prior))
    with torch.no_grad():
        gap, moved = x - y, penalty.prox(x, tau) - penalty.prox(y, tau)
    assert (1 + step * prior.ridge) * moved.square().sum() <= (moved * gap).sum() * (1 + 1e-12)
