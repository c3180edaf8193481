"""Certificates of gradients of ridge regularisers, against gradients that are exact to their own certificates."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from bench.measurement.training import parameters, training_step
from bench.tasks import Problem
from solvers import CG, QuasiNewton, TapeRecorder, certified, implicit
from solvers._certificates.bound import certificate  # a certificate of a gradient of any accuracy
from solvers._core.certificate import Certificate
from tests.helpers.problems import small_problem
from tests.helpers.tensors import F64, draw

TOLERANCES = [10.0**-k for k in (2, 3, 4, 5, 6, 7, 8, 10)]
ADJOINTS = (1.0, 1e-1, 1e-2, 1e-4, 1e-6, 1e-8)


def certified_gradient(P: Problem, forward: float, adjoint: float) -> tuple[Tensor, Certificate]:
    """An implicit gradient to two tolerances, with its certificate."""
    T = TapeRecorder(P.bind(P.train))
    P.operator.zero_grad(set_to_none=True)
    criterion = P.criterion(P.train)
    solution = implicit(QuasiNewton(forward, 4000), CG(adjoint, 4000))(T, P.start(P.train), criterion)
    criterion(solution.x).backward()
    g = torch.cat([p.grad.flatten() for p in parameters(P) if p.grad is not None])
    x = solution.x.detach().requires_grad_()
    (v,) = torch.autograd.grad(criterion(x), x)
    bounds = P.bind(P.train).regularity()
    return g, certificate(T.taped, x.detach(), v, bounds, criterion.smoothness, size=float(g.norm()))


def scattered(task: str, seed: int, size: int) -> Problem:
    """With weights that are no longer those of the start."""
    P = small_problem(task, size=size, seed=seed)
    R = P.operator.regulariser
    with torch.no_grad():
        R.steepness.fill_(1 + seed % 3)
        R.scalings.add_(0.5 * draw(seed, *R.scalings.shape))
        for kernel in R.kernels:
            kernel.add_(0.03 * draw(seed + 1, *kernel.shape))
        R.strength.fill_(-4.0 if "wcrr" in task else -0.5)
    return P


def assert_certificates_hold(P: Problem) -> int:
    """No error is above its certificate; return the number of certificates."""
    exact, least = certified_gradient(P, 1e-13, 1e-12)
    assert least.rigorous, least.why
    for forward in TOLERANCES:
        for adjoint in ADJOINTS:
            g, found = certified_gradient(P, forward, adjoint)
            assert found.rigorous
            assert float((g - exact).norm()) <= found.error + least.error
    return len(TOLERANCES) * len(ADJOINTS)


def test_no_error_is_above_its_certificate():
    tasks = ("denoising(crr)", "denoising(crr(circular=True))", "denoising(wcrr)")
    problems = [scattered(task, seed, 16) for seed, task in enumerate(tasks)]
    problems.append(small_problem("denoising(crr)", size=16))
    problems.append(small_problem("denoising(crr)", size=16, train=2, seed=1))
    assert sum(map(assert_certificates_hold, problems)) >= 200


@pytest.mark.parametrize("rtol", [0.1, 0.01])
def test_certified_is_rigorous_at_the_weights_of_the_project(rtol):
    P = small_problem("denoising(crr)", size=24)
    exact, _ = certified_gradient(P, 1e-13, 1e-12)
    solution, _ = training_step(certified(rtol), P, P.train)
    (found,) = solution.certificates
    g = torch.cat([p.grad.flatten() for p in parameters(P)])
    assert solution.converged
    assert found.rigorous
    assert float((g - exact).norm()) <= found.error
    assert found.relative <= rtol


def test_a_regulariser_that_is_too_concave_has_no_certificate():
    P = small_problem("denoising(wcrr)", size=16)
    _, found = certified_gradient(P, 1e-3, 1e-2)
    assert found.error == float("inf")
    assert "is not below 1" in found.why


@pytest.mark.parametrize("size", [1e-3, 1.0, 300.0])
@pytest.mark.parametrize("task", ["denoising(crr)", "deblurring(wcrr(circular=True))"])
def test_no_application_in_float32_rounds_off_more_than_it_says(task, size):
    P = small_problem(task, size=16, dtype=torch.float32)
    T = P.bind(P.train)
    bounds, x = T.regularity(), size * P.train.x0
    wide = small_problem(task, size=16)
    wide.operator.regulariser.load_state_dict(P.operator.regulariser.state_dict())
    data = T.data.in_float64()
    with torch.no_grad():
        gradient = wide.operator.regulariser.gradient(x.double())
        exact = x.double() + P.operator.step() * (data.descent(x.double()) - gradient)
        gap = float((T(x).double() - exact).norm())
    assert 0 < gap <= bounds.rounding(x) <= 1e-4 * (size + 1) * float(P.train.x0.norm())
    u = draw(0, *x.shape)
    narrow = x.clone().requires_grad_()
    (a,) = torch.autograd.grad(T(narrow), narrow, u.float())
    there = x.double().requires_grad_()
    step = there + P.operator.step() * (data.descent(there) - wide.operator.regulariser.gradient(there))
    (b,) = torch.autograd.grad(step, there, u)
    assert float((a.double() - b).norm()) <= bounds.change(x, u.float(), 0.0).J + 1e-5 * float(u.norm())
    assert F64 not in {p.dtype for p in bounds.parameters}
