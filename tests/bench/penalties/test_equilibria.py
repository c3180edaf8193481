"""Equilibria minimise their energy."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from deepinv.physics import Denoising

from bench.penalties import (
    union,
)
from bench.penalties.groups import split
from tests.helpers.energy import energy as penalty_energy
from tests.helpers.penalties import PHYSICS, blur, coupled, scatter, settle, small
from tests.helpers.tensors import F64, draw


@coupled
def test_without_coupling_the_equilibrium_is_that_of_the_groups(prior):
    y, physics = 0.5 + 0.3 * draw(0, 1, 3, 8, 8), Denoising()
    images = []
    for kind in (prior, replace(prior, coupled=False)):
        operator = small(kind).operator((3, 8, 8), 0.5, F64, "cpu")
        operator.prior.log_weights.data.fill_(-2)
        images.append(operator.image(settle(operator, y, physics)))
    torch.testing.assert_close(*images, rtol=0, atol=1e-10)


@coupled
@pytest.mark.parametrize("physics", PHYSICS)
def test_a_coupled_equilibrium_minimises_the_energy_of_its_image(prior, physics):
    """``½‖Ax − y‖² + Σ ω h(‖N_g (Ψx)_g‖) + ε/2 ‖NΨx − Ψ½‖²``, written out in the image, not in the state."""
    prior = replace(prior, ridge=max(prior.ridge, 0.1))  # the blur alone is singular: no rate without a ridge
    physics, members = PHYSICS[physics](), prior.groups.members(3, 3)
    y = physics.A(0.5 + 0.3 * draw(0, 1, 3, 8, 8))
    operator = small(prior).operator((3, 8, 8), 1.0, F64, "cpu")
    penalty, Psi = scatter(operator.prior, 0), operator.prior.wavelets
    # One weight a group, at the place of its first member.
    weights = (
        penalty.log_weights.exp().expand(3, -1, -1) if prior.groups.colours else penalty.log_weights.exp()
    )
    weights = weights.expand(-1, -1, 3)

    def energy(x):
        total = 0.5 * (physics.A(x) - y).square().sum()
        low, details = split(Psi.analyse(x), 2, 2)
        grey_low, grey = split(Psi.analyse(torch.full_like(x, 0.5)), 2, 2)
        total = total + prior.ridge / 2 * (low - grey_low).square().sum()
        for j, (N, d, m) in enumerate(zip(penalty.matrices(), details, grey, strict=True)):
            s = torch.einsum("pq,qhw->phw", N, d[0].flatten(0, 1))
            total = total + prior.ridge / 2 * (s - m[0].flatten(0, 1)).square().sum()
            for group in members.unique():
                first = int((members == group).nonzero()[0])
                size, half = s[members == group].norm(dim=0), prior.smoothing
                huber = torch.where(
                    size > half, size - half / 2, size.square() / (2 * half) if half else size
                )
                total = total + weights[first // 3, j, first % 3] * huber.sum()
        return total

    with torch.no_grad():
        x = operator.image(settle(operator, y, physics))
        best = energy(x)
        for i, size in enumerate((1e-4, 1e-3, 1e-2, 0.1, 1.0)):
            assert all(energy(x + size * draw(10 * i + k, *x.shape)) > best for k in range(5))
        assert energy(x + 1e-4 * (0.5 - x)) > best
        assert energy(x + 1e-4 * (y - x)) > best


def test_a_union_equilibrium_minimises_its_energy():
    prior, physics = small(union(0.0, 0.1)), blur()
    operator = prior.operator((3, 8, 8), 1.0, F64, "cpu")
    penalty, y = scatter(operator.prior, 0), 0.5 + 0.3 * draw(0, 1, 3, 8, 8)
    with torch.no_grad():

        def energy(s):
            return 0.5 * (physics.A(penalty.image(s)) - y).square().sum() + penalty_energy(penalty, s)

        state = settle(operator, y, physics)
        for i, size in enumerate((1e-4, 1e-2, 1.0)):
            assert energy(state + size * draw(i, *state.shape)) > energy(state)
