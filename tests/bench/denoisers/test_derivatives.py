"""Derivatives in image, level and weights; dtypes."""

from __future__ import annotations

import pytest
import torch

from bench.denoisers.base import noise_map
from tests.helpers.denoisers import families
from tests.helpers.tensors import F64, draw


@pytest.mark.parametrize("name", ["drunet", "dncnn", "gsdrunet"])
def test_the_derivatives_in_image_and_level_are_right(tmp_path, name):
    """Against finite differences; and once more for the derivative, where the activations allow."""
    denoiser, x = families(tmp_path)[name], 0.5 + 0.1 * draw(0, 1, 1, 32, 32)
    direction, sense = draw(1, *x.shape), draw(2, *x.shape)

    def along(a, b):
        return (denoiser(x + a * direction, torch.exp(b) * 0.1) * sense).sum()

    start = tuple(torch.zeros((), dtype=F64, requires_grad=True) for _ in range(2))
    assert torch.autograd.gradcheck(along, start, eps=1e-7, rtol=1e-4, atol=1e-6)
    slope = torch.autograd.grad(along(*start), start, create_graph=True)
    second = torch.autograd.grad(slope[0] + slope[1], [*denoiser.parameters()], allow_unused=True)
    assert all(g is None or bool(g.isfinite().all()) for g in second)
    assert any(g is not None and bool(g.any()) for g in second)
    with torch.no_grad():
        torch.testing.assert_close(along(*start), along(*start).detach(), rtol=0, atol=0)
    pushed = torch.func.jvp(lambda z: denoiser(z, torch.tensor(0.1, dtype=F64)), (x,), (direction,))[1]
    torch.testing.assert_close((pushed * sense).sum(), slope[0].detach(), rtol=1e-9, atol=0)


@pytest.mark.parametrize("name", ["drunet", "dncnn", "gsdrunet"])
def test_dtypes_agree_and_evaluation_mode_stays(tmp_path, name):
    denoiser, x = families(tmp_path)[name], draw(0, 1, 1, 32, 32)
    exact = denoiser(x, torch.tensor(0.1, dtype=F64))
    assert exact.dtype == F64
    assert not denoiser.train().training
    assert not any(module.training for module in denoiser.modules())
    single = denoiser.float()(x.float(), torch.tensor(0.1))
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), exact, rtol=1e-4, atol=1e-4)


def test_the_gradient_step_is_that_of_its_potential(tmp_path):
    denoiser, x = families(tmp_path)["gsdrunet"], draw(0, 2, 1, 32, 32).requires_grad_()
    sigma = torch.tensor(0.1, dtype=F64)
    potential = denoiser.network.potential(x, noise_map(x, sigma)).sum()
    (slope,) = torch.autograd.grad(potential, x)
    torch.testing.assert_close(denoiser(x, sigma), x - slope, rtol=0, atol=1e-12)
    with torch.no_grad():
        torch.testing.assert_close(denoiser(x, sigma), x - slope, rtol=0, atol=1e-12)
    assert not denoiser.requires_grad_(False)(x.detach(), sigma).requires_grad
