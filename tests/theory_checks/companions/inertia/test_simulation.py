"""The inertial deep inverse prior: identities at tiny sizes, edge cases, and checks that turn red on what is broken."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest
import torch

from theory_checks.companions.inertia.simulation import (
    discrete_runs,
    discrete_schemes,
    flow_certificate,
    flows,
    inertial_certificate,
    kernel,
    matrix_free,
    network,
    rate_fits,
)
from theory_checks.companions.inertia.simulation.activations import F64, SOFTPLUS, TANH, mean_square_slope
from theory_checks.companions.inertia.simulation.discrete_schemes import Inertia, Iteration
from theory_checks.companions.inertia.simulation.problem import gap, problem, spread


def small(phi=TANH, k: int = 40):
    of = problem(gap(5, 0.2), 3)
    return network.two_layer(of, k, phi, 4)


@pytest.mark.parametrize("phi", [TANH, SOFTPLUS])
def test_constants_of_activations(phi):
    z = torch.linspace(-6, 6, 4001, dtype=F64, requires_grad=True)
    (slope,) = torch.autograd.grad(phi.value(z).sum(), z)
    assert torch.allclose(phi.slope(z), slope)
    both = phi.value_and_slope(z)
    assert torch.allclose(both[0], phi.value(z))
    assert torch.allclose(both[1], slope)
    (curvature,) = torch.autograd.grad(phi.slope(z).sum(), z)
    assert float(curvature.abs().max()) == pytest.approx(phi.curvature, rel=1e-5)
    g = torch.randn(400_000, generator=torch.Generator().manual_seed(0), dtype=F64)
    assert mean_square_slope(phi) == pytest.approx(float(phi.slope(g).square().mean()), rel=5e-3)


def test_gradients_and_pushes_against_autograd():
    fit, z0 = small()
    z = z0.clone().requires_grad_()
    (g,) = torch.autograd.grad(network.loss(fit.residual(z)), z)
    assert torch.allclose(fit.residual_and_gradient(z0)[1], g, atol=1e-14)
    J = torch.func.jacrev(fit.image)(z0)
    assert torch.allclose(fit.jacobian(z0), J, atol=1e-14)
    d = torch.randn(len(z0), generator=torch.Generator().manual_seed(1), dtype=F64)
    assert torch.allclose(fit.jvp(z0, d), fit.problem.A @ J @ d, atol=1e-14)
    frozen = network.linearised(fit, z0)
    assert torch.allclose(frozen.residual(z0 + d), fit.residual(z0) + fit.problem.A @ J @ d)
    assert torch.allclose(frozen.residual_and_gradient(z0)[1], g)


def test_full_network_moves_as_the_reduced_one():
    fit, z0 = small()
    full, W0 = network.full_network(fit, z0, 7, 5)
    assert float(full.u.norm()) == pytest.approx(1)
    assert torch.allclose(full.hidden(W0), z0)
    d, h = Inertia(0.4, 0.3), 0.3
    ends = []
    for objective, start in ((discrete_runs.objective(fit), z0), (discrete_runs.objective(full), W0)):
        seen: list[torch.Tensor] = []

        def keep(k: int, theta: torch.Tensor, s: Iteration, seen=seen) -> bool:
            seen[:] = [theta]
            return False

        discrete_schemes.isehd(objective, start, d, h, 30, keep, adaptive=True)
        ends.append(seen[0])
    assert torch.allclose(full.hidden(ends[1]), ends[0], rtol=1e-10)
    # W moves along u alone.
    moved = (ends[1] - W0).unflatten(0, (-1, 7))
    assert torch.allclose(moved, torch.outer(moved @ full.u, full.u), atol=1e-14)


@pytest.mark.parametrize(("alpha", "beta"), [(0.4, 0.0), (0.9, 1.0), (2.0, 0.0), (0.1, 0.5)])
def test_response_solves_its_equation(alpha, beta):
    lam, t = torch.tensor(1.0, dtype=F64), torch.linspace(0, 10, 11, dtype=F64)
    q, dq = kernel.response(lam, t.new_tensor(alpha), t.new_tensor(beta), t)
    assert (float(q[0]), float(dq[0])) == (1, 0)
    a = (alpha + beta) / 2
    w = torch.sqrt(torch.complex(t.new_tensor(1 - a * a), t.new_tensor(0.0)))
    if abs(w) > 0:
        right = torch.exp(-a * t) * (torch.cos(w * t) + a / w * torch.sin(w * t)).real
        assert torch.allclose(q, right, atol=1e-12)
    else:
        assert torch.allclose(q, (1 + t) * torch.exp(-t), atol=1e-12)


def test_rates_and_the_best_damping():
    values = torch.tensor([0.0, 0.01, 0.3, 1.0], dtype=F64)
    mu = kernel.smallest(values)
    assert mu == 0.01
    for b in (0.0, 3.0, 10.0):
        best = kernel.best_alpha(mu, b)
        assert kernel.rate(values, best, b) == pytest.approx(0.1)
        assert max(kernel.rate(values, best + d, b) for d in (-0.03, 0.03)) < 0.1
    # Beyond 1/√µ the largest eigenvalue is slow.
    assert kernel.rate(values, kernel.best_alpha(mu, 40.0), 40.0) < 0.1


def test_factor_against_the_iteration_itself():
    lam, d, h = torch.tensor([0.2, 0.7], dtype=F64), Inertia(0.3, 0.4), 0.5
    theta, before, g_before = torch.ones(2, dtype=F64), torch.ones(2, dtype=F64), lam.clone()
    a, sizes = 1 / (1 + d.alpha * h), []
    for _ in range(400):
        g = lam * theta
        ahead = theta + a * (theta - before) - d.beta * h * a * (g - g_before) - h * h * a * g
        before, theta, g_before = theta, ahead, g
        sizes.append(float((theta.square() + (theta - before).square()).sum()))
    slope = math.log(sizes[-1] / sizes[199]) / (2 * 200)
    assert math.exp(slope) == pytest.approx(kernel.factor(lam, d.alpha, d.beta, h), abs=5e-3)


def test_energy_balances_only_with_its_factor():
    fit, z0 = small()
    d = flows.damping_pairs([0.0, 0.5, 0.5], [0.0, 0.0, 0.8])
    path = flows.inertial_flow(fit, z0, d, 0.05, 10.0, 10)
    balance = (path.energy + path.dissipated) / path.energy[0]
    assert float((balance - 1).abs().max()) < 1e-6
    bare = path.energy - (d.alpha * d.beta)[:, 0] * network.loss(path.r)
    assert float(((bare + path.dissipated) / bare[0] - 1).abs().max()) > 1e-2


def test_gradient_flow_dissipates_its_loss():
    fit, z0 = small()
    path, seen = flows.gradient_flow(fit, z0, 0.1, 20.0, 10)
    assert torch.allclose(path.energy + path.dissipated, path.energy[0], rtol=1e-5)
    assert seen.shape == (21, 40)
    assert torch.equal(seen[0], z0)


def test_fits_of_nothing_are_nan():
    t = torch.arange(100.0, dtype=F64)
    good = torch.exp(-0.3 * t)
    assert rate_fits.decay(t, good) == pytest.approx(0.3)
    assert math.isnan(rate_fits.decay(t, torch.exp(-0.01 * t)))
    assert math.isnan(rate_fits.decay(t, torch.exp(-5 * t)))
    assert math.isnan(rate_fits.decay(t, torch.where(t == 30, torch.nan, good)))
    assert math.isnan(rate_fits.decay(t, torch.zeros_like(t)))
    assert math.isnan(rate_fits.decay(t[:0], t[:0]))
    assert math.isnan(rate_fits.log_slope([1, 2], [1, 2]))
    assert math.isnan(rate_fits.log_slope([1, 2, 3], [1, 0, 3]))
    assert rate_fits.log_slope([1, 2, 4], [3, 12, 48]) == pytest.approx(2)
    assert (rate_fits.first_below(good, 0.5), rate_fits.first_below(good, -1.0)) == (3, -1)


def test_adaptive_rule_never_raises_its_energy_and_gives_up_in_words():
    fit, z0 = small()
    f, d = discrete_runs.objective(fit), Inertia(0.3, 0.2)
    log = discrete_schemes.isehd(f, z0, d, 100.0, 40, lambda *_: False, adaptive=True)
    assert discrete_schemes.violations([s.energy for s in log]) == 0
    assert log[-1].evaluations > 41
    assert discrete_schemes.violations([3.0, 1.0, 2.0, 1.5, 1.6]) == 2

    calls = itertools.count()

    class Cliff:
        """A loss that is larger every time."""

        def __init__(self, theta: torch.Tensor) -> None:
            self.loss = float(next(calls))

        def gradient(self) -> torch.Tensor:
            return torch.ones(2, dtype=F64)

    one = torch.ones(2, dtype=F64)
    with pytest.raises(ArithmeticError, match="no step"):
        discrete_schemes.isehd(Cliff, one, d, 1.0, 5, lambda *_: False, adaptive=True)
    with pytest.raises(ArithmeticError, match="no step"):
        discrete_schemes.gradient_descent(Cliff, one, 1.0, 5, lambda *_: False, adaptive=True)


def test_certified_lipschitz_constant_of_the_gradient():
    fit, z0 = small(k=200)
    L = discrete_runs.lipschitz_of_gradient(fit, z0)
    hessian = torch.autograd.functional.hessian(lambda z: network.loss(fit.residual(z)), z0)
    assert isinstance(hessian, torch.Tensor)
    assert float(torch.linalg.matrix_norm(hessian, 2)) <= L


def test_certificate_is_the_condition_on_the_width():
    of = problem(spread(4, 0.8), 1)
    for k in (50, 200, 800, 3200, 12800):
        fit, z0 = network.two_layer(of, k, SOFTPLUS, k)
        c = flow_certificate.certify(fit, z0)
        assert flow_certificate.certifies_flow(c) == flow_certificate.wide_enough(c, 4, k, SOFTPLUS.curvature)
    # The Lipschitz constant bounds what the Jacobian does.
    other = z0 + torch.randn(len(z0), generator=torch.Generator().manual_seed(0), dtype=F64)
    change = torch.linalg.matrix_norm(fit.jacobian(other) - fit.jacobian(z0), 2)
    assert float(change) <= c.lipschitz * float((other - z0).norm())
    assert flow_certificate.certifies_flow(replace(c, r0=0.0))


def test_certificate_of_inertia_asks_for_more_than_that_of_gradient_flow():
    fit, z0 = network.two_layer(problem(spread(4, 0.8), 1), 800, SOFTPLUS, 2)
    c = flow_certificate.certify(fit, z0)
    g = inertial_certificate.InertialCertificate(c, discrete_runs.lipschitz_of_gradient(fit, z0))
    assert g.needed == pytest.approx(2 * math.sqrt(2) * c.needed)
    assert not inertial_certificate.certifies_inertial_flow(g)
    # As near to the truth as it asks for, F falls as it says.
    near = inertial_certificate.InertialCertificate(replace(c, r0=c.r0 * 0.9 * c.radius / g.needed), g.bound)
    assert inertial_certificate.certifies_inertial_flow(near)
    d, s, values = flows.damping_pairs([near.alpha], [0.0]), None, []
    for _ in range(200):
        s = (
            flows.initial_state(fit, z0, d)
            if s is None
            else flows.rk4(lambda now: flows.inertial_field(fit, now, d), s, 0.2)
        )
        r, slope = fit.residual_and_gradient(s.theta)
        values.append(network.loss(r) + s.v.square().sum(-1) / 2 + near.epsilon * (slope * s.v).sum(-1))
    F, t = torch.cat(values), 0.2 * torch.arange(200, dtype=F64)
    assert float((F * torch.exp(near.b * t) / F[0]).max()) <= 1 + 1e-9


def test_ends_of_the_spectrum_without_matrices():
    fit, z0 = network.two_layer(problem(spread(24, 0.4), 0), 100, TANH, 1)
    K = kernel.kernel(fit.problem.A, fit.jacobian(z0))
    w = torch.randn(24, generator=torch.Generator().manual_seed(2), dtype=F64)
    assert torch.allclose(matrix_free.product(fit.residual, z0)(w), K @ w)
    values, _ = kernel.modes(K)
    found = matrix_free.spectrum_ends(fit.residual, z0, 24, 60)
    assert found.largest == pytest.approx(float(values[-1]))
    assert found.smallest == pytest.approx(float(values[0]))
    rough = matrix_free.spectrum_ends(fit.residual, z0, 24, 1)
    assert float(values[0]) < rough.smallest
    assert rough.smallest_error > found.smallest_error


def test_noise_of_a_deficient_problem_lies_in_its_range():
    singular = torch.cat([spread(4, 0.5), torch.zeros(2, dtype=F64)])
    of = problem(singular, 0, noise=0.3)
    assert float(of.noise.norm()) == pytest.approx(0.3)
    assert float((of.A @ torch.linalg.pinv(of.A, rtol=1e-9) @ of.y - of.y).norm()) < 1e-12
    assert torch.linalg.matrix_rank(of.A) == 4
