"""Splittings of convex ridge regularisers and learned filters by their coefficients, in float64."""

from __future__ import annotations

import math

import pytest
import torch
from deepinv.physics import BlurFFT, Denoising, Inpainting
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.operators import admm, douglas_rachford, forward_backward, peaceman_rachford, primal_dual
from bench.operators.filter_douglas_rachford import FilterDouglasRachford, eigenvalues, symbols
from bench.operators.normal import normal_operator, spectrum_bounds
from bench.penalties import filters, tv
from bench.regularisers import crr, icnn, wcrr
from bench.utils.errors import UserError
from solvers import CG, GMRES, Anderson, ProxCG, QuasiNewton, implicit
from solvers.conformance import relative_error
from tests.helpers.tensors import F64, draw

SHAPE = (1, 15, 14)
"""Smaller than twice the reach of the filters, so that they wrap."""
CIRCULAR = crr(circular=True)


def blur():
    """Asymmetric, so that A is not Aᵀ."""
    kernel = torch.zeros(1, 1, 3, 3, dtype=F64)
    kernel[0, 0, 0, 1], kernel[0, 0, 2, 2], kernel[0, 0, 1, 1] = 0.2, 0.1, 0.7
    return BlurFFT(img_size=SHAPE, filter=kernel)


def operator_of(splitting, prior, physics, seed=0):
    """With parameters that differ from channel to channel, and potentials that tests solve in a second."""
    operator = splitting.operator(prior, physics, SHAPE, 1.0, F64, "cpu")
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in operator.named_parameters():
            p.add_(0.3 * torch.randn(p.shape, generator=rng, dtype=F64))
            if name.endswith("steepness"):
                p.fill_(1.0)
            if name.endswith("scale"):
                p.fill_(0.2)
    return operator


def measured(physics, seed=3):
    rows = torch.linspace(0, 1, SHAPE[1], dtype=F64)[:, None]
    image = 0.3 + 0.4 * (draw(seed, 2, *SHAPE).cumsum(-1) > 0) + 0.2 * rows
    return physics.A(image + 0.1 * draw(seed + 1, 2, *SHAPE))


def solved(operator, physics, solver):
    """The image of the equilibrium and the gradients of a loss of it."""
    y = measured(physics)
    T = operator.bind(y, physics)
    truth = draw(9, 2, *SHAPE)
    operator.zero_grad()

    def loss(state):
        return 0.5 * (T.image(state) - truth).square().sum()

    solution = solver(T, operator.start(y).detach(), loss)
    loss(solution.x).backward()
    assert solution.converged, (solution.forward, solution.adjoint)
    image = T.image(solution.x).detach()
    return image, torch.cat([p.grad.flatten() for p in operator.parameters()])


EXACT = implicit(Anderson(1e-13, 20_000), GMRES(1e-12, 400))


@pytest.mark.parametrize("physics", [Denoising, blur], ids=["denoising", "deblurring"])
@pytest.mark.parametrize(
    ("splitting", "circular"),
    [(primal_dual(), False), (primal_dual(), True), (admm(), True), (douglas_rachford(0.7, 0.05), True)],
    ids=str,
)
def test_the_equilibrium_and_its_gradients_are_those_of_the_gradient_step(splitting, circular, physics):
    physics = physics()
    by_gradient = implicit(QuasiNewton(1e-14, 20_000), CG(1e-12, 2000))
    image, expected = solved(operator_of(forward_backward(), crr(circular), physics), physics, by_gradient)
    operator = operator_of(splitting, crr(circular), physics)
    found, gradient = solved(operator, physics, EXACT)
    torch.testing.assert_close(found, image, rtol=0, atol=1e-8)
    assert relative_error(gradient, expected) < 1e-6
    names = [name.rpartition("regulariser.")[2] for name, _ in operator.named_parameters()]
    assert names[:4] == ["strength", "scale", "steepness", "scalings"]


def test_learned_filters_have_the_equilibrium_of_primal_dual():
    prior, physics = filters(3, 3, 0.05, 0.2), blur()
    image, expected = solved(operator_of(primal_dual(), prior, physics), physics, EXACT)
    found, gradient = solved(operator_of(admm(), prior, physics), physics, EXACT)
    torch.testing.assert_close(found, image, rtol=0, atol=1e-9)
    assert relative_error(gradient, expected) < 1e-7


@pytest.mark.parametrize("prior", [CIRCULAR, filters(3, 5, 0.05, 0.2)], ids=lambda prior: prior.label)
def test_symbols_are_the_filters_in_the_fourier_basis(prior):
    operator = operator_of(admm(), prior, Denoising())
    x, penalty = draw(1, 2, *SHAPE), operator.penalty
    K = symbols(penalty.kernels(), *SHAPE[1:])
    made = torch.fft.irfft2(K * torch.fft.rfft2(x), s=SHAPE[1:])
    torch.testing.assert_close(made, penalty.analyse(x), rtol=0, atol=1e-13)
    left = (penalty.analyse(x) * made.roll(1, -1)).sum()
    torch.testing.assert_close(left, (x * penalty.adjoint(made.roll(1, -1))).sum())
    norm = float(K.detach().abs().square().sum(0).max())
    assert norm <= float(penalty.norm_squared())


def test_the_norm_of_circular_ridge_filters_is_nearly_one():
    operator = operator_of(primal_dual(), CIRCULAR, Denoising())
    K = symbols(operator.penalty.kernels(), 256, 256)
    assert float(K.detach().abs().square().sum(0).max()) == pytest.approx(1, abs=1e-12)
    finer = float(symbols(operator.penalty.kernels(), 1000, 1024).detach().abs().square().sum(0).max())
    bound = float(operator.penalty.norm_squared())
    assert 1 <= finer <= bound < 1.03
    product = operator.penalty.regulariser.chain().norm ** 2
    assert product > bound  # what a gradient step divides by


def test_scaled_admm_makes_the_same_iterates():
    """g first: ``v = prox_{g/ρ}(K x + u)``, x by a dense solve, ``u += K x − v``; the state is ``v − u``."""
    physics, rho = blur(), 3.0
    y = measured(physics)
    operator = operator_of(admm(rho), CIRCULAR, physics)
    T, penalty = operator.bind(y, physics), operator.penalty
    count = math.prod(SHAPE)
    unit = torch.eye(count, dtype=F64).view(-1, *SHAPE)
    with torch.no_grad():
        K, A = penalty.analyse(unit).flatten(1), physics.A(unit).flatten(1)
        system = A @ A.T + rho * K @ K.T
        v, u = penalty.analyse(draw(4, 2, *SHAPE)), 0.1 * draw(5, 2, 64, *SHAPE[1:])
        z = v - u
        for _ in range(4):
            right = (physics.A_adjoint(y) + rho * penalty.adjoint(v - u)).flatten(1)
            x = torch.linalg.solve(system, right.T).T.view(-1, *SHAPE)
            torch.testing.assert_close(T.image(z), x, rtol=0, atol=1e-11)
            u = u + penalty.analyse(x) - v
            v = penalty.prox(penalty.analyse(x) + u, torch.tensor(1 / rho, dtype=F64))
            z = T(z)
            torch.testing.assert_close(z, v - u, rtol=0, atol=1e-11)


@settings(max_examples=25)
@given(
    gamma=st.sampled_from((0.02, 0.3, 4.0)),
    alpha=st.sampled_from((0.3, 0.5, 0.9)),
    blurred=st.booleans(),
    seed=st.integers(0, 10_000),
)
def test_no_two_states_leave_its_factor(gamma, alpha, blurred, seed):
    physics = blur() if blurred else Denoising()
    operator = operator_of(douglas_rachford(alpha, gamma), CIRCULAR, physics, seed)
    T = operator.bind(measured(physics), physics)
    spectrum = spectrum_bounds(normal_operator(physics))
    factor = operator.contraction(spectrum)
    assert factor < 1
    z = operator.start(draw(seed, 2, *SHAPE)).detach()
    for size in (1e-3, 1.0):
        u = draw(seed + 1, *z.shape)
        for _ in range(4):  # along the state that grew fastest
            u = size * u / u.norm()
            with torch.no_grad():
                moved = T(z + u) - T(z)
            assert float(moved.norm()) <= factor * size * (1 + 1e-10)
            u = moved


def test_the_default_gamma_has_the_least_factor_on_a_grid():
    physics = Denoising()
    operator = operator_of(admm(), CIRCULAR, physics)
    made = admm().operator(CIRCULAR, physics, SHAPE, 1.0, F64, "cpu")
    best = made.contraction((1.0, 1.0))
    for k in range(-30, 31):
        other = FilterDouglasRachford(made.penalty, made.gamma * math.exp(k / 10), 0.5, 0.0)
        assert best <= other.contraction((1.0, 1.0)) * (1 + 1e-12)
    assert operator.contraction((0.0, 1.0)) == 1


def test_stages_are_those_of_the_derivative():
    physics = blur()
    operator = operator_of(douglas_rachford(0.7), CIRCULAR, physics)
    T = operator.bind(measured(physics), physics)
    z = operator.start(draw(2, 2, *SHAPE)).detach().requires_grad_()
    u = draw(3, *z.shape)
    (expected,) = torch.autograd.grad(T(z), z, u)
    stages = T.stages(z)
    found = stages.shift * u + stages.outer(stages.inner(u))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_the_adjoint_is_solved_by_conjugate_gradients_on_the_stages():
    physics = Denoising()
    operator = operator_of(admm(), CIRCULAR, physics)
    _, expected = solved(operator, physics, EXACT)
    _, gradient = solved(operator, physics, implicit(Anderson(1e-13, 20_000), ProxCG(1e-11, 2000)))
    assert relative_error(gradient, expected) < 1e-7


def test_gradients_reach_the_kernel_of_the_blur():
    kernel = torch.zeros(1, 1, 3, 3, dtype=F64)
    kernel[0, 0, 1, 1], kernel[0, 0, 1, 2] = 0.8, 0.2
    kernel.requires_grad_()
    operator = operator_of(admm(), CIRCULAR, blur())
    z, y = operator.start(draw(2, 1, *SHAPE)).detach(), draw(3, 1, *SHAPE)

    def value():
        physics = BlurFFT(img_size=SHAPE, filter=kernel)
        return operator.bind(y, physics)(z).square().sum()

    (slope,) = torch.autograd.grad(value(), kernel)
    with torch.no_grad():
        kernel[0, 0, 0, 1] += 1e-6
        up = float(value())
        kernel[0, 0, 0, 1] -= 2e-6
        assert float(slope[0, 0, 0, 1]) == pytest.approx((up - float(value())) / 2e-6, rel=1e-5)


def test_a_changed_parameter_changes_the_symbols():
    operator = operator_of(admm(), CIRCULAR, Denoising())
    with torch.no_grad():
        first = operator.symbols(*SHAPE[1:])
        assert operator.symbols(*SHAPE[1:]) is first
        operator.penalty.regulariser.kernels[0].mul_(draw(1, 4, 1, 5, 5))
        assert relative_error(operator.symbols(*SHAPE[1:]).abs(), first.abs()) > 0.1


@pytest.mark.parametrize(
    ("splitting", "prior", "words"),
    [
        (admm(), crr(), "choose circular=True for crr"),
        (peaceman_rachford(), CIRCULAR, "need not converge"),
        (douglas_rachford(depth=3), CIRCULAR, "leave depth out"),
        (admm(), wcrr(circular=True), "needs a convex penalty"),
        (primal_dual(), icnn(), "needs a convex penalty"),
        (admm(), tv(), "choose primal_dual"),
    ],
)
def test_what_has_no_operator_is_refused_in_a_line(splitting, prior, words):
    assert words in splitting.refusal(prior)
    with pytest.raises(UserError, match=words.replace("(", r"\(")) as error:
        splitting.operator(prior, Denoising(), SHAPE, 1.0, F64, "cpu")
    assert "\n" not in str(error.value)


def test_a_mask_and_colours_are_refused():
    mask = (draw(3, *SHAPE) > 0).to(F64)
    with pytest.raises(UserError, match="choose primal_dual"):
        admm().operator(CIRCULAR, Inpainting(SHAPE, mask=mask), SHAPE, 1.0, F64, "cpu")
    operator = operator_of(admm(), CIRCULAR, Denoising())
    with pytest.raises(UserError, match="choose primal_dual"):
        operator.bind(draw(1, 1, *SHAPE), Inpainting(SHAPE, mask=mask))
    assert float(eigenvalues(normal_operator(Inpainting(SHAPE, mask=torch.ones(SHAPE, dtype=F64))))) == 1
    for splitting in (admm(), primal_dual()):
        with pytest.raises(UserError, match="takes grey images"):
            splitting.operator(CIRCULAR, Denoising(), (3, 16, 16), 1.0, F64, "cpu")


@pytest.mark.parametrize("splitting", [admm(), primal_dual()], ids=lambda s: s.label)
def test_all_parameters_have_the_rate_of_networks(splitting):
    operator = operator_of(splitting, CIRCULAR, Denoising())
    assert {id(p) for p in operator.network_weights()} == {id(p) for p in operator.parameters()}
