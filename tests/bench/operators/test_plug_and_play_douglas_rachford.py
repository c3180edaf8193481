"""Plug-and-play Douglas–Rachford: the equilibrium and gradients of plug-and-play, its factor, what it refuses."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest
import torch
from deepinv.physics import BlurFFT, Denoising, Inpainting, LinearPhysics
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from bench.config.call_syntax import parse_call
from bench.denoisers import ScaledDenoiser
from bench.denoisers.architectures import SIGMA_0
from bench.measurement.hypergradient import reference_gradient
from bench.measurement.training import parameters
from bench.operators import SPLITTINGS, PlugAndPlayDouglasRachford, douglas_rachford, peaceman_rachford
from bench.operators.plug_and_play import PlugAndPlay, dncnn, drunet
from bench.operators.plug_and_play_douglas_rachford import averaged_factor, douglas_rachford_factor
from bench.utils.errors import UserError
from tests.helpers.denoisers import small as small_network
from tests.helpers.problems import small_problem
from tests.helpers.tensors import F64, draw

SMALL = (1, 8, 8)


def small(seed=0, bound=0.9):
    return ScaledDenoiser(small_network(seed, bound=bound), SIGMA_0)


def blur():
    kernel = torch.zeros(1, 1, 5, 5, dtype=F64)
    kernel[0, 0, 0, 1], kernel[0, 0, 3, 4], kernel[0, 0, 2, 2] = 0.5, 0.3, 0.2
    return BlurFFT(img_size=SMALL, filter=kernel)


def reference(text):
    """The reference gradient of a small problem, and the equilibrium image."""
    p = small_problem(text)
    T, x0 = p.limit(p.train), p.start(p.train)
    found = reference_gradient(T, parameters(p), x0, lambda state: p.loss(state, p.train))
    return p, found


@pytest.mark.parametrize(
    ("task", "splitting"),
    [
        ("denoising(dncnn)", "douglas_rachford"),
        ("denoising(dncnn(learn_weights=True))", "douglas_rachford(0.8)"),
        ("deblurring(dncnn)", "douglas_rachford"),
        ("inpainting(dncnn)", "douglas_rachford(0.3)"),
    ],
)
def test_its_implicit_gradient_is_that_of_plug_and_play(task, splitting):
    """In γ, σ and the weights, in the order of plug-and-play."""
    (p, expected), (q, found) = reference(task), reference(f"{task} by {splitting}")
    assert isinstance(p.operator, PlugAndPlay)
    assert isinstance(q.operator, PlugAndPlayDouglasRachford)
    assert [n for n, _ in p.operator.named_parameters()] == [n for n, _ in q.operator.named_parameters()]
    assert expected.gradient[:2].abs().min() > 0
    torch.testing.assert_close(found.gradient, expected.gradient, rtol=1e-8, atol=1e-14)


def test_one_iteration_is_the_formula():
    physics, denoiser = blur(), small()
    z, y = draw(0, 2, *SMALL), draw(1, 2, *SMALL)
    operator = PlugAndPlayDouglasRachford(denoiser, 0.7, 0.2, 0.8)
    A = torch.func.jacrev(lambda x: physics.A(x).flatten())(torch.zeros(1, *SMALL, dtype=F64)).reshape(64, 64)
    right = (z + 0.7 * physics.A_adjoint(y)).flatten(1)
    x = torch.linalg.solve(torch.eye(64, dtype=F64) + 0.7 * A.mT @ A, right.mT).mT.view_as(z)
    expected = z + 1.6 * (denoiser(2 * x - z, torch.tensor(0.2, dtype=F64)) - x)
    T = operator.bind(y, physics)
    torch.testing.assert_close(T(z), expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(operator(z, y, physics), expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(T.image(z), x, rtol=0, atol=1e-12)


@pytest.mark.parametrize("learned", [False, True])
def test_its_derivatives_are_whole(learned):
    """In the state, γ and σ, of an iteration and of the image; with a learned kernel too. Against differences."""
    operator, y = PlugAndPlayDouglasRachford(small(), 0.7, 0.2, 0.8), draw(1, 1, *SMALL)
    kernel, z = (draw(2, 1, 1, 3, 3) / 3).requires_grad_(learned), draw(0, 1, *SMALL).requires_grad_()
    leaves = [z, operator.log_step, operator.log_sigma, *([kernel] if learned else [])]

    def value():
        T = operator.bind(y, BlurFFT(SMALL, kernel))
        return (draw(6, *z.shape) * T(z)).sum() + (draw(7, *z.shape) * T.image(z)).sum()

    for leaf, gradient in zip(leaves, torch.autograd.grad(value(), leaves), strict=True):
        direction = draw(5, *leaf.shape)
        values = []
        with torch.no_grad():
            for size in (1e-6, -2e-6, 1e-6):
                leaf += size * direction
                values.append(float(value()))
        assert float((gradient * direction).sum()) == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-5)


class LinearDenoiser(nn.Module):
    """``D = I + εN`` with an orthogonal N on images of n pixels in a row."""

    def __init__(self, residual):
        super().__init__()
        self.residual = nn.Parameter(residual)

    def forward(self, x, sigma):
        return x + x @ self.residual.mT

    def residual_lipschitz(self):
        return float(torch.linalg.matrix_norm(self.residual.detach(), ord=2))


@given(
    seed=st.integers(0, 10_000),
    gamma=st.floats(0.05, 20),
    epsilon=st.floats(0, 0.9),
    alpha=st.sampled_from((0.2, 0.5, 0.8, 1.0)),
    least=st.sampled_from((0.0, 0.1, 1.0)),
)
def test_no_iteration_leaves_its_factor(seed, gamma, epsilon, alpha, least):
    """Against dense Jacobians, of orthogonal residuals, symmetric ones, and of multiples of the identity."""
    n = 6
    mask = (least + draw(seed, n).abs().clamp(max=2.0)).sqrt()
    mask[0] = math.sqrt(least)
    turn, _ = torch.linalg.qr(draw(seed + 1, n, n))
    sign = torch.diag(draw(seed + 2, n).sign())
    spectrum = (float(mask.square().min()), float(mask.square().max()))
    for residual in (turn, sign, -torch.eye(n, dtype=F64), torch.eye(n, dtype=F64)):
        denoiser = LinearDenoiser(epsilon * residual)
        operator = PlugAndPlayDouglasRachford(denoiser, gamma, 0.1, alpha)
        T = operator.bind(torch.zeros(n, 1, 1, n, dtype=F64), Inpainting((1, 1, n), mask=mask.view(1, 1, n)))
        J = T(torch.eye(n, dtype=F64).view(n, 1, 1, n)).detach().view(n, n)  # linear, as y is 0
        norm = float(torch.linalg.matrix_norm(J, ord=2))
        assert norm <= operator.contraction(spectrum) * (1 + 1e-12)
        if alpha == 0.5:
            assert norm <= douglas_rachford_factor(spectrum[0], gamma, epsilon) * (1 + 1e-12)


def test_its_factor_is_what_is_known_of_it():
    """Without a residual that of the averaged reflection; of the paper for α = ½ at most; either bound counts."""
    for gamma, alpha in itertools.product((0.1, 1.0, 10.0), (0.3, 0.5, 1.0)):
        linear = max(abs(1 - 2 * alpha * gamma * v / (1 + gamma * v)) for v in (0.2, 1.0))
        assert averaged_factor((0.2, 1.0), gamma, alpha, 0.0) == pytest.approx(linear)
    assert douglas_rachford_factor(0.0, 1.0, 0.3) == pytest.approx(1.3)
    assert douglas_rachford_factor(2.0, 0.5, 0.1) == pytest.approx(1.22 / 2.2)
    flat, steep = (0.2, 0.4), (0.2, 1e6)
    assert averaged_factor(flat, 2.0, 0.5, 0.3) < douglas_rachford_factor(0.2, 2.0, 0.3)
    assert averaged_factor(steep, 2.0, 0.5, 0.3) == pytest.approx(douglas_rachford_factor(0.2, 2.0, 0.3))
    # A contraction where the theorem says so: ε/((1 + ε − 2ε²)μ) < γ.
    least = 0.3 / ((1.3 - 2 * 0.09) * 0.2)
    assert (
        douglas_rachford_factor(0.2, 1.01 * least, 0.3) < 1 < douglas_rachford_factor(0.2, 0.99 * least, 0.3)
    )
    assert math.isnan(averaged_factor(flat, 1.0, 0.5, math.nan))
    assert math.isnan(PlugAndPlayDouglasRachford(small(), 0.5, 0.1, autocast=True).contraction((1, 1)))


def test_its_step_starts_where_it_is_told():
    for splitting, gamma in ((douglas_rachford(), 0.9), (peaceman_rachford(0.4), 0.4)):
        operator = splitting.operator(dncnn(0.1), Denoising(), SMALL, 0.9, F64, "cpu")
        assert isinstance(operator, PlugAndPlayDouglasRachford)
        assert operator.log_step.exp().item() == pytest.approx(gamma)
        assert operator.log_sigma.exp().item() == pytest.approx(0.1)
        assert operator.alpha == splitting.alpha
        assert operator.image_bound((0.0, 1.0)) is None
        assert operator.network_weights() == []
    learned = douglas_rachford().operator(dncnn(learn_weights=True), Denoising(), SMALL, 0.9, F64, "cpu")
    assert len(learned.network_weights()) == 12


def test_autocast_is_near_and_keeps_the_dtype():
    x, y = draw(0, 1, 1, 32, 32).float(), draw(1, 1, 1, 32, 32).float()
    exact, fast = (
        douglas_rachford().operator(prior, Denoising(), (1, 32, 32), 0.5, torch.float32, "cpu")(
            x, y, Denoising()
        )
        for prior in (dncnn(), replace(dncnn(), autocast=True))
    )
    assert fast.dtype == torch.float32
    assert not torch.equal(fast, exact)
    assert (fast - exact).norm() < 0.05 * exact.norm()


class Shift(LinearPhysics):
    """A user's own, of which nothing is known."""

    def A(self, x, **_):
        return x.roll(1, -1)

    def A_adjoint(self, y, **_):
        return y.roll(-1, -1)


@pytest.mark.parametrize(
    ("splitting", "prior", "physics", "message"),
    [
        (
            "douglas_rachford",
            dncnn(layers=3),
            Denoising(),
            "one γ for all iterations of dncnn.*: leave layers and",
        ),
        (
            "peaceman_rachford(depth=3)",
            dncnn(),
            Denoising(),
            "one γ for all iterations of dncnn: leave layers and depth",
        ),
        (
            "half_quadratic",
            dncnn(),
            Denoising(),
            "needs a convex penalty with a prox, and dncnn is none: choose forward_backward",
        ),
        ("douglas_rachford", dncnn(), Shift(), "that of Shift has none: choose forward_backward"),
        ("douglas_rachford(1.5, 1)", dncnn(), blur(), r"alpha must lie below 2/\(1 \+ δ\) = .* for dncnn"),
        ("douglas_rachford", drunet(), Denoising(), "at least 32 pixels"),
    ],
)
def test_what_it_cannot_do_it_says_in_one_line(splitting, prior, physics, message):
    with pytest.raises(UserError, match=message) as caught:
        parse_call(splitting, SPLITTINGS, "splitting").operator(prior, physics, SMALL, 0.5, F64, "cpu")
    assert "\n" not in str(caught.value)
