"""Certificates of gradients of ridge regularisers, against gradients that are exact to their own certificates."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from bench.measurement.training import parameters, training_step
from bench.regularisers.ridge_bounds import RidgeBounds
from bench.tasks import Problem
from solvers import QuasiNewton, certified

# Not public: gradients at any image and adjoint.
from solvers._certificates.taped_gradient import TapedGradient
from solvers._core.certificate import Certificate
from tests.helpers.problems import small_problem
from tests.helpers.tensors import F64, draw

DISTANCES = [10.0**-k for k in range(1, 9)]


def gradient_at(P: Problem, x: Tensor, u: Tensor | None = None) -> tuple[TapedGradient, Certificate]:
    """The gradient at an image and an adjoint, which is solved for if it is not given, with its certificate."""
    made = TapedGradient(P.bind(P.train), P.criterion(P.train), x)
    made.record()
    made.u = u
    if u is None:
        made.solve_adjoint(1e-12, 4000)
    made.measure()
    assert made.a is not None
    return made, made.certificate(made.a)


def equilibrium(P: Problem) -> Tensor:
    with torch.no_grad():
        return QuasiNewton(1e-13, 4000)(P.bind(P.train), P.start(P.train)).x


def difference(a: TapedGradient, b: TapedGradient) -> float:
    parts = zip(a.gradient.parts.values(), b.gradient.parts.values(), strict=True)
    return float(torch.cat([p - q for p, q in parts]).norm())


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
    """No error is above its certificate, at random distances of the image and of the adjoint; return their number."""
    x = equilibrium(P)
    exact, least = gradient_at(P, x)
    assert least.rigorous, least.why
    assert exact.u is not None
    trials = [(d, e) for d in DISTANCES for e in (1e-1, 1e-3, 1e-5, 1e-7, 0.0)]
    for seed, (d, e) in enumerate(trials):
        moved, turned = (draw(2 * seed + i, *x.shape) for i in range(2))
        u = exact.u + e * exact.u.norm() * turned / turned.norm()
        made, found = gradient_at(P, x + d * moved / moved.norm(), u)
        assert found.rigorous
        assert difference(made, exact) <= found.error + least.error
    return len(trials)


def test_no_error_is_above_its_certificate():
    tasks = ("denoising(crr)", "denoising(crr(circular=True))", "denoising(wcrr)")
    problems = [scattered(task, seed, 16) for seed, task in enumerate(tasks)]
    problems.append(small_problem("denoising(crr)", size=16))
    problems.append(small_problem("denoising(crr)", size=16, train=2, seed=1))
    assert sum(map(assert_certificates_hold, problems)) >= 200


@pytest.mark.parametrize("rtol", [0.1, 0.01])
def test_certified_is_rigorous_at_the_weights_of_the_project(rtol):
    P = small_problem("denoising(crr)", size=16)
    exact, least = gradient_at(P, equilibrium(P))
    solution, _ = training_step(certified(rtol), P, P.train)
    (found,) = solution.certificates
    assert solution.converged
    assert found.rigorous
    assert found.relative <= rtol
    right = torch.cat([exact.gradient.parts[id(p)] for p in parameters(P)])
    made = torch.cat([p.grad.flatten() for p in parameters(P) if p.grad is not None])
    assert float((made - right).norm()) <= found.error + least.error


def test_the_gain_at_the_weights_of_the_project_is_a_fiftieth_of_the_worst_of_both_directions():
    P = small_problem("denoising(crr)", size=64)
    T = P.bind(P.train)
    with torch.no_grad():
        x = QuasiNewton(1e-8, 1000)(T, P.start(P.train)).x
    change = T.regularity().change(x, x, 0.0)
    assert 50 * change.gain <= change.size / (1 - T.regularity().L)


def test_certificates_of_a_regulariser_that_is_too_concave_are_estimates():
    P = small_problem("denoising(wcrr)", size=16)
    _, found = gradient_at(P, equilibrium(P))
    assert found.error < float("inf")
    assert not found.rigorous
    assert found.why == "the constants of T are estimates"


@pytest.mark.parametrize("size", [1e-3, 1.0, 300.0])
@pytest.mark.parametrize("task", ["denoising(crr)", "deblurring(wcrr(circular=True))"])
def test_no_application_in_float32_rounds_off_more_than_it_says(task, size):
    P = small_problem(task, size=16, dtype=torch.float32)
    T = P.bind(P.train)
    bounds, x = RidgeBounds.of(P.operator.step(), P.operator.regulariser, T.data), size * P.train.x0
    assert bounds is not None
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
