"""Fields of experts: both potentials by their formula, gradients in all parameters, and bounds that are attained."""

from __future__ import annotations

import math

import pytest
import torch

from bench.config.lookup import parse_task
from bench.measurement.training import parameters, training_step
from bench.regularisers import foe
from bench.tasks import build_problem
from bench.tasks.images import Layout, find_images
from solvers import CG, QuasiNewton, implicit
from tests.helpers.tensors import F64, draw

both = pytest.mark.parametrize("convex", [False, True])
boundaries = pytest.mark.parametrize("circular", [False, True])


def regulariser(convex=False, circular=False):
    """With parameters that differ from filter to filter."""
    R = foe(circular, convex).regulariser(F64, "cpu")
    with torch.no_grad():
        R.strength.fill_(0.3)
        R.scalings.add_(0.5 * draw(1, *R.scalings.shape))
    return R


def image(seed=0, size=14):
    return 0.5 + 0.3 * draw(seed, 1, 1, size, size)


@both
@boundaries
def test_the_energy_is_that_of_the_formula(convex, circular):
    """Correlations as sums of shifted images."""
    R, x = regulariser(convex, circular), image()
    kernels = R.kernels[:, 0] - R.kernels[:, 0].mean((1, 2), keepdim=True)
    padded = torch.nn.functional.pad(x, (3,) * 4, mode="circular" if circular else "constant")[0, 0]
    total = 0.0
    for a, kernel in zip(R.scalings.flatten(), kernels, strict=True):
        z = sum(kernel[i, j] * padded[i : i + 14, j : j + 14] for i in range(7) for j in range(7))
        u = a.exp() * z
        phi = (1 + u**2).sqrt() - 1 if convex else (1 + u**2).log() / 2
        total = total + math.exp(0.3) * (-2 * a).exp() * phi.sum()
    torch.testing.assert_close(R(x), total[None], rtol=1e-9, atol=1e-14)


@both
@boundaries
def test_the_gradient_and_its_derivatives_are_those_of_the_energy(convex, circular):
    R, x, u = regulariser(convex, circular), image().requires_grad_(), draw(3, 1, 1, 14, 14)
    (slope,) = torch.autograd.grad(R(x).sum(), x, create_graph=True)
    own = R.gradient(x)
    torch.testing.assert_close(own, slope, rtol=1e-10, atol=1e-13)
    wanted = [x, *R.parameters()]
    expected = torch.autograd.grad((slope * u).sum(), wanted, retain_graph=True)
    for a, b in zip(torch.autograd.grad((own * u).sum(), wanted), expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)


def test_the_bounds_on_curvature_are_nearly_attained():
    """At x = 0 every coefficient has curvature 1, and at u = √3 one of −1/8."""
    R = regulariser(circular=True)
    bounds = R.curvature()
    x = torch.zeros(1, 1, 32, 32, dtype=F64, requires_grad=True)
    slope = R.gradient(x)
    v = draw(5, *x.shape)
    for _ in range(300):
        (v,) = torch.autograd.grad(slope, x, v / v.norm(), retain_graph=True)
    assert 0.93 * bounds.largest < float(v.norm()) <= bounds.largest
    assert bounds.weak == bounds.largest / 8
    u = torch.linspace(0, 10, 100_001, dtype=F64)
    second = (1 - u**2) / (1 + u**2) ** 2
    assert float(second.min()) == pytest.approx(-1 / 8, abs=1e-9)
    assert float(second.max()) == 1
    assert regulariser(convex=True).curvature().weak == 0


def test_the_convex_potential_does_not_cancel_at_small_coefficients():
    R, x = regulariser(convex=True), 1e-9 * image()
    z = torch.nn.functional.conv2d(x, R.filters(), padding=3)
    torch.testing.assert_close(R(x), R.strength.exp() * z.square().sum((1, 2, 3)) / 2, rtol=1e-9, atol=0)


@both
def test_the_gradient_of_a_loss_is_a_difference_of_losses(convex):
    task = parse_task(f"denoising(foe(convex={convex}))")
    P = build_problem(task, find_images(None), Layout(crop=16, train=1, test=1), 0, dtype=F64)
    solver = implicit(QuasiNewton(1e-12, 5000), CG(1e-11, 1000))
    training_step(solver, P, P.train)
    moved = next(p for p in parameters(P) if p.ndim == 4)
    along, values = draw(7, *moved.shape), []
    slope = float((moved.grad * along).sum())
    for change in (1e-5, -1e-5):
        with torch.no_grad():
            moved.add_(along, alpha=change)
            found = QuasiNewton(1e-12, 5000)(P.bind(P.train), P.start(P.train))
            assert found.report.converged
            values.append(float(P.loss(found.x, P.train)))
            moved.sub_(along, alpha=change)
    assert slope == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-5)
