"""A network scaled to other noise levels."""

from __future__ import annotations

import torch

from bench.denoisers import (
    ScaledDenoiser,
)
from bench.denoisers.base import noise_map
from tests.helpers.denoisers import families, small
from tests.helpers.tensors import F64, draw


def test_at_its_own_level_a_scaled_network_is_the_network():
    network, x = small(), draw(0, 2, 1, 8, 8)
    torch.testing.assert_close(
        ScaledDenoiser(network, 0.1)(x, torch.tensor(0.1, dtype=F64)), network(x), rtol=1e-13, atol=0
    )


def test_each_sample_may_have_its_own_level():
    network, x, levels = (
        ScaledDenoiser(small(channels=3), 0.1),
        draw(0, 2, 3, 8, 8),
        torch.tensor([0.05, 0.2], dtype=F64),
    )
    together = network(x, levels.view(2, 1, 1, 1))
    apart = torch.cat([network(x[i : i + 1], levels[i]) for i in range(2)])
    torch.testing.assert_close(together, apart, rtol=0, atol=1e-13)
    assert noise_map(x, levels.view(2, 1, 1, 1))[:, 0, 3, 3].tolist() == levels.tolist()


def test_float64_is_not_lost_in_the_noise_level(tmp_path):
    """deepinv fills the map of a scalar level in float32; that of 0.1 is off by 1.5e-9."""
    denoiser, x = families(tmp_path)["drunet"], draw(0, 1, 1, 32, 32)
    level = torch.full((1, 1, 32, 32), 0.1, dtype=F64)
    exact = denoiser.network(x, level)
    torch.testing.assert_close(denoiser(x, torch.tensor(0.1, dtype=F64)), exact, rtol=0, atol=0)
