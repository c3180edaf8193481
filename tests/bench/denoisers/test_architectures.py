"""Lipschitz constants of convolutions and of residuals are certified."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from bench.denoisers import (
    ScaledDenoiser,
)
from bench.denoisers.architectures import (
    SIGMA_0,
    convolution_norm,
    residual_lipschitz,
)
from bench.studies.denoiser_training import evaluate
from tests.helpers.denoisers import small
from tests.helpers.tensors import F64, draw


def dense(weight, size, padding_mode="zeros"):
    """The matrix of a padded convolution of images of ``size``."""
    outputs, inputs, side, _ = weight.shape
    layer = nn.Conv2d(
        inputs, outputs, side, padding=side // 2, padding_mode=padding_mode, bias=False, dtype=F64
    )
    with torch.no_grad():
        layer.weight.copy_(weight)
        return layer(torch.eye(inputs * size[0] * size[1], dtype=F64).reshape(-1, inputs, *size)).flatten(1).T


@given(
    seed=st.integers(0, 10_000),
    channels=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    side=st.sampled_from([1, 3, 5]),
    size=st.tuples(st.integers(4, 9), st.integers(4, 9)),
    mode=st.sampled_from(["zeros", "circular"]),
)
def test_the_norm_of_a_convolution_is_bounded_on_every_size(seed, channels, side, size, mode):
    weight = draw(seed, *channels, side, side)
    exact = torch.linalg.matrix_norm(dense(weight, size, mode), ord=2)
    for grid in (16, 32, 64):
        assert exact <= convolution_norm(weight, grid) * (1 + 1e-12)


def test_the_bound_is_tight_and_a_coarse_grid_alone_is_none():
    """``(1 + 2a cos ω)² + 4 sin² ω`` peaks at ω = 5π/16, halfway between two of 16 frequencies."""
    cosine = math.cos(5 * math.pi / 16)
    a = (math.sqrt(1 + 16 * cosine**2) - 1) / (4 * cosine)
    weight = torch.zeros(2, 1, 3, 3, dtype=F64)
    weight[:, 0, 1] = torch.tensor([[a, 1, a], [1, 0, -1]], dtype=F64)
    exact = torch.linalg.matrix_norm(dense(weight, (1, 200)), ord=2)
    assert convolution_norm(weight, 16) * math.cos(math.pi / 16) ** 2 < exact
    assert exact <= convolution_norm(weight, 16) <= exact / math.cos(math.pi / 16) ** 2
    assert exact <= convolution_norm(weight, 64) <= exact * 1.003


def test_the_bound_is_attained():
    """``4 sin ω₁ sin ω₂`` on a grid that misses its peak by as much as can be, in both directions."""
    taps = torch.tensor([1, 0, -1], dtype=F64)
    weight = torch.outer(taps, taps)[None, None]
    assert convolution_norm(weight, 6) == pytest.approx(4, rel=1e-12)
    assert convolution_norm(weight, 64) == pytest.approx(4 / math.cos(math.pi / 64) ** 2, rel=1e-12)


@given(seed=st.integers(0, 10_000), bound=st.floats(0.1, 2))
def test_a_limited_network_keeps_its_constant(seed, bound):
    network = small(seed, bound=bound)
    assert residual_lipschitz(network) <= bound * (1 + 1e-12)
    x, y = draw(seed, 1, 1, 9, 7), draw(seed + 1, 1, 1, 9, 7) * 0.1
    with torch.no_grad():
        moved = (x - network(x)) - (y - network(y))
    assert moved.norm() <= residual_lipschitz(network) * (x - y).norm()


@given(seed=st.integers(0, 1000), sigma=st.floats(0.01, 1))
def test_scaling_keeps_the_constant_of_the_residual(seed, sigma):
    scaled, level = ScaledDenoiser(small(seed), SIGMA_0), torch.tensor(sigma, dtype=F64)
    x = draw(seed, 1, 1, 6, 6)

    def norm(factor, at):
        return torch.linalg.matrix_norm(
            torch.autograd.functional.jacobian(lambda z: z - scaled(z, at), x * factor).reshape(36, 36), ord=2
        )

    measured, at_own = norm(sigma / SIGMA_0, level), norm(1.0, torch.tensor(SIGMA_0, dtype=F64))
    torch.testing.assert_close(measured, at_own, rtol=1e-10, atol=0)
    assert measured <= scaled.residual_lipschitz()
    assert scaled.residual_lipschitz() == residual_lipschitz(scaled.network)


def test_the_measured_constant_is_the_jacobians():
    denoiser, x = ScaledDenoiser(small(), 0.1), draw(0, 1, 1, 6, 6)
    jacobian = torch.autograd.functional.jacobian(lambda z: z - denoiser(z, torch.tensor(0.2, dtype=F64)), x)
    exact = torch.linalg.matrix_norm(jacobian.reshape(36, 36), ord=2)
    assert evaluate.measured_lipschitz(denoiser, x, 0.2, 300) == pytest.approx(float(exact), rel=1e-6)
