"""Gradient steps on a data term and a learned regulariser."""

from __future__ import annotations

import pytest
import torch

from bench.config.lookup import parse_operator, parse_task
from bench.measurement.training import parameters, training_step
from bench.tasks import build_problem
from bench.tasks.images import Layout, find_images
from solvers import CG, Anderson, QuasiNewton, certified, implicit
from solvers.conformance import relative_error
from tests.helpers.tensors import F64

TASKS = ("denoising(crr)", "deblurring(wcrr)", "denoising(icnn)", "deblurring(crr(circular=True))")


def problem(task, crop=24):
    P = build_problem(parse_task(task), find_images(None), Layout(crop=crop, train=2, test=1), 0, dtype=F64)
    with torch.no_grad():
        for name, p in P.operator.regulariser.named_parameters():
            if name == "steepness":
                p.fill_(2.0)  # so that tests solve in a second
    return P


@pytest.mark.parametrize("task", TASKS)
def test_the_equilibrium_has_no_slope(task):
    P = problem(task)
    T = P.bind(P.train)
    with torch.no_grad():
        found = QuasiNewton(1e-11, 5000)(T, P.start(P.train))
    assert found.report.converged
    A, x = P.physics, found.x
    slope = A.A_adjoint(A.A(x) - P.train.y) + P.operator.regulariser.gradient(x).detach()
    assert float(slope.norm()) < 1e-6 * float(P.train.y.norm())


@pytest.mark.parametrize("task", TASKS)
def test_the_derivative_is_symmetric_and_within_its_bound(task):
    P = problem(task, 16)
    T = P.bind(P.train)
    x = P.train.x0.clone().requires_grad_()
    y = T(x)
    rng = torch.Generator().manual_seed(1)
    u, v = (torch.randn(x.shape, generator=rng, dtype=F64) for _ in range(2))
    Ju, Jv = (torch.autograd.grad(y, x, w, retain_graph=True)[0] for w in (u, v))
    assert float((Ju * v).sum()) == pytest.approx(float((u * Jv).sum()), rel=1e-9)
    for _ in range(30):
        u = torch.autograd.grad(y, x, u / u.norm(), retain_graph=True)[0]
    assert float(u.norm()) <= P.contraction


@pytest.mark.parametrize("task", TASKS)
def test_the_gradient_of_the_loss_is_a_difference_of_losses(task):
    P = problem(task, 16)
    solver = implicit(QuasiNewton(1e-12, 5000), CG(1e-11, 1000))
    training_step(solver, P, P.train)
    moved = next(p for name, p in P.operator.regulariser.named_parameters() if name == "strength")
    slope, values = float(moved.grad), []
    for change in (1e-4, -1e-4):
        with torch.no_grad():
            moved.add_(change)
            values.append(P.loss(QuasiNewton(1e-12, 5000)(P.bind(P.train), P.start(P.train)).x, P.train))
            moved.sub_(change)
    assert slope == pytest.approx(float(values[0] - values[1]) / 2e-4, rel=2e-3)


def test_the_equilibrium_does_not_depend_on_the_forward_solver():
    gradients = []
    for forward in (QuasiNewton(1e-12, 5000), Anderson(1e-12, 20_000)):
        P = problem("denoising(crr)", 16)
        training_step(implicit(forward, CG(1e-11, 1000)), P, P.train)
        gradients.append(torch.cat([p.grad.flatten() for p in parameters(P)]))
    assert relative_error(gradients[1], gradients[0]) < 1e-4


def test_a_changed_parameter_changes_the_step():
    P = problem("denoising(crr)", 16)
    before = P.operator.step()
    assert P.operator.step() == before
    with torch.no_grad():
        P.operator.regulariser.strength.add_(1)
    assert P.operator.step() < before


def test_a_certificate_of_a_network_is_an_estimate():
    """It states no bounds on its derivatives."""
    P = problem("denoising(icnn)", 16)
    solution, _ = training_step(certified(0.1), P, P.train)
    assert solution.certificates
    assert not solution.certificates[0].rigorous


@pytest.mark.parametrize("operator", ["peaceman_rachford()", "primal_dual()", "half_quadratic()"])
def test_operators_that_take_a_prox_are_refused(operator):
    task = parse_task("denoising(wcrr)")
    reason = parse_operator(operator).refusal(task.prior)
    assert "needs a convex penalty with a prox, and wcrr is none: choose forward_backward" in reason
