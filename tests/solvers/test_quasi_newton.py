"""``QuasiNewton`` on gradient steps whose curvature differs by orders of magnitude, and on maps that are none."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from solvers import CG, Anderson, Nesterov, Picard, QuasiNewton, implicit
from solvers.conformance import gradient_of
from tests.helpers.known_maps import matrix
from tests.helpers.tensors import F64

STEEP = 1e4
"""Largest curvature of the energy; the least is 1."""


class Ridges(nn.Module):
    """A gradient step on ``½‖x − y‖² + Σ h(Wx)`` with smoothed absolute values h, at its global step."""

    def __init__(self, samples: int = 2, size: int = 40) -> None:
        super().__init__()
        rng = torch.Generator().manual_seed(3)
        W = torch.randn(2 * size, size, generator=rng, dtype=F64)
        self.W = W / torch.linalg.matrix_norm(W, 2)
        self.y = torch.randn(samples, size, generator=rng, dtype=F64)
        self.weight = nn.Parameter(torch.tensor(0.05, dtype=F64))

    def gradient(self, x):
        return x - self.y + self.weight * (STEEP * x @ self.W.T).clamp(-1, 1) @ self.W

    def forward(self, x):
        return x - 2 / (2 + float(self.weight.detach()) * STEEP) * self.gradient(x)


@torch.no_grad()
def test_steep_kinks_take_a_fraction_of_the_applications_of_the_other_solvers():
    T = Ridges()
    found = QuasiNewton(1e-9, 3000)(T, T.y)
    assert found.report.converged
    others = [kind(1e-9, 3000)(T, T.y).report for kind in (Anderson, Nesterov, Picard)]
    assert all(other.applications > 2 * found.report.applications for other in others), (found.report, others)
    assert float(T.gradient(found.x).norm()) < 1e-5


def test_the_gradient_of_the_weight_is_a_difference_of_losses():
    T = Ridges(1, 12)

    def loss(x):
        return (x - 1).square().sum()

    found, _ = gradient_of(implicit(QuasiNewton(1e-13, 3000), CG(1e-12)), T, T.y, loss)
    values = []
    for change in (1e-5, -1e-5):
        moved = Ridges(1, 12)
        with torch.no_grad():
            moved.weight.add_(change)
            values.append(loss(QuasiNewton(1e-14, 3000)(moved, moved.y).x))
    assert float(found) == pytest.approx(float(values[0] - values[1]) / 2e-5, rel=1e-5)


@pytest.mark.parametrize("memory", [3, 10])
def test_a_quadratic_energy_ends_in_the_order_of_conjugate_gradients(memory):
    """κ = 1,000 needs about 250 conjugate gradient steps to 1e-8 in exact arithmetic, plain steps about 5,000."""
    rates = torch.logspace(-3, 0, 60, dtype=F64)
    report = QuasiNewton(1e-10, 5000, memory)(
        lambda x: x - 0.9 * (rates * x - 1), torch.zeros(1, 60, dtype=F64)
    )
    assert report.report.converged
    assert report.report.applications < 400


@pytest.mark.parametrize("seed", range(6))
def test_it_ends_on_contractions_that_are_no_gradient_steps(seed):
    """Rotations and unsymmetric matrices: the memory misleads, plain steps after it do not."""
    M = matrix(10, 0.95, seed)
    if seed % 2:
        M = 0.95 * torch.linalg.qr(M)[0]
    assert QuasiNewton(1e-8, 5000)(lambda x: x @ M.T + 1, torch.zeros(3, 10, dtype=F64)).report.converged


@torch.no_grad()
def test_samples_do_not_change_each_other():
    T = Ridges(3)
    together = QuasiNewton(1e-8, 3000)(T, T.y)
    y = T.y
    for i in range(3):
        T.y = y[i : i + 1]
        alone = QuasiNewton(1e-8, 3000)(T, T.y)
        torch.testing.assert_close(together.x[i : i + 1], alone.x, rtol=1e-6, atol=1e-7)
