"""Lanczos finds the largest singular value of a batch."""

from __future__ import annotations

import math

import pytest
import torch

# Not public: the monitor estimates constants with it.
from solvers._certificates.jacobian_norm import largest_singular_value
from solvers.conformance import start
from tests.helpers.known_maps import matrix


def test_lanczos_finds_the_largest_singular_value_of_the_batch():
    M = torch.stack([matrix(40, size, seed) for size, seed in ((0.5, 1), (0.9, 2), (0.7, 3))])

    def T(x):
        return torch.tanh(torch.einsum("bij,bj->bi", M, x))

    x = 0.3 * start(3, 40)
    slope = 1 - T(x).square()
    exact = torch.linalg.svdvals(slope[:, :, None] * M)
    previous = 0.0
    for steps in (1, 3, 10, 40, 60):
        value, residual = largest_singular_value(T, x, steps)
        gap = (exact.square() - value**2).abs().min()
        assert gap <= (residual + 1e-12) * value**2
        assert previous <= value + 1e-14
        assert value <= exact.max() * (1 + 1e-12)
        previous = value
    assert value == pytest.approx(float(exact.max()), rel=1e-12)
    assert residual < 1e-8


def test_lanczos_at_its_edges():
    assert largest_singular_value(lambda x: torch.ones_like(x), start(2, 6)) == (0.0, 0.0)
    assert largest_singular_value(lambda x: 0 * x, start(2, 6)) == (0.0, 0.0)
    assert largest_singular_value(lambda x: -0.5 * x, start(6)) == pytest.approx((0.5, 0.0), abs=1e-12)
    assert math.isnan(largest_singular_value(lambda x: math.nan * x, start(2, 6))[0])
    with pytest.raises(ValueError, match="steps must be at least 1, not 0"):
        largest_singular_value(torch.tanh, start(6), 0)
    value, _ = largest_singular_value(lambda x: 0.7 * torch.relu(x), start(2, 6, dtype=torch.float32))
    assert value == pytest.approx(0.7, rel=1e-6)
