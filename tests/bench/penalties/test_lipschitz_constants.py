"""Lipschitz constants of steps."""

from __future__ import annotations

import pytest
import torch
from deepinv.physics import Denoising

from tests.helpers.penalties import (
    COUPLED,
    GROUPED,
    PHYSICS,
    STATES,
    dense,
    eigenvalues,
    every,
    scatter,
    small,
    state_shape,
)
from tests.helpers.tensors import F64, draw


@every
@pytest.mark.parametrize("physics", PHYSICS)
def test_the_measured_lipschitz_constant_is_within_the_bound(prior, physics):
    physics = PHYSICS[physics]()
    operator = small(prior).operator((3, 8, 8), 1.0, F64, "cpu")
    y = draw(5, 1, 3, 8, 8)
    for seed in (0, 1):
        scatter(operator.prior, seed)
        bound = operator.contraction(eigenvalues(physics))
        assert bound <= 1 + 1e-12
        for size in (0.01, 1.0):  # near 0 most groups vanish; far from it most do not
            at = size * draw(seed + 2, *state_shape(prior))
            J = dense(operator.bind(y * size, physics), None, at)
            assert float(torch.linalg.matrix_norm(J, 2)) <= bound * (1 + 1e-9) + 1e-12


@pytest.mark.parametrize("prior", [*COUPLED, *GROUPED], ids=lambda p: p.label)
def test_the_bound_is_reached_where_nothing_is_shrunk(prior):
    """Without weights the step is linear and its norm is the bound on denoising: a bound too large fails here."""
    operator = small(prior).operator((3, 8, 8), 0.5, F64, "cpu")
    scatter(operator.prior, 0).log_weights.data.fill_(-800)
    J = dense(operator.bind(torch.zeros(1, 3, 8, 8, dtype=F64), Denoising()), (1, 3, 8, 8))
    expected = operator.contraction((1.0, 1.0))
    assert float(torch.linalg.matrix_norm(J, 2)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("prior", STATES, ids=lambda p: p.label)
def test_the_ridge_pulls_towards_mid_grey(prior):
    penalty = small(prior).build((3, 8, 8), F64)
    grey = torch.full((1, 3, 8, 8), 0.5, dtype=F64)
    torch.testing.assert_close(penalty.centre, penalty.synthesis_adjoint(grey), rtol=0, atol=1e-14)
    torch.testing.assert_close(penalty.image(penalty.centre), grey, rtol=0, atol=1e-14)
