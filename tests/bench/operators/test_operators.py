"""Wavelets, proxes and forward–backward steps, in float64."""

from __future__ import annotations

import math
from unittest.mock import patch

import pytest
import pywt
import torch
from deepinv.physics import Blur, BlurFFT, Denoising, Inpainting
from hypothesis import given
from hypothesis import strategies as st

from bench.measurement.memory import saved_bytes
from bench.operators import ForwardBackward, contraction_factor
from bench.operators.data_fidelity import data_fidelity
from bench.operators.normal import normal_operator
from bench.penalties import Wavelets, huber, l1
from bench.penalties.wavelets import check_size
from bench.utils.errors import UserError
from tests.helpers.energy import energy
from tests.helpers.tensors import F64, draw

priors = st.sampled_from([l1(), huber(), huber(0.3, 0.5)])
seeds = st.integers(0, 10_000)


@pytest.mark.parametrize(("wavelet", "levels"), [("haar", 3), ("db4", 2), ("db2", 1)])
@pytest.mark.parametrize("size", [(32, 32), (32, 48)])
def test_the_transform_is_orthonormal(wavelet, levels, size):
    W = Wavelets(size, wavelet, levels, dtype=F64)
    x, y = draw(0, 2, 3, *size), draw(1, 2, 3, *size)
    kept = x.clone()
    c = W.analyse(x)
    assert torch.equal(x, kept), "the argument was overwritten"
    torch.testing.assert_close(W.synthesise(c), x, rtol=0, atol=1e-13)
    kept = c.clone()
    W.synthesise(c)
    assert torch.equal(c, kept), "the argument was overwritten"
    torch.testing.assert_close((W.analyse(x) * W.analyse(y)).sum(), (x * y).sum(), rtol=1e-12, atol=0)
    torch.testing.assert_close(W.analyse(W.synthesise(y)), y, rtol=0, atol=1e-13)


def test_the_coefficients_are_those_of_pywavelets():
    """A second road: the same numbers as ``pywt.wavedec2``, band by band."""
    x = draw(3, 64, 64)
    approximation, *details = pywt.wavedec2(x.numpy(), "db4", mode="periodization", level=3)
    W = Wavelets((64, 64), "db4", 3, dtype=F64)
    c, bands = W.analyse(x), W.bands
    torch.testing.assert_close(c[bands == 0].view(8, 8), torch.from_numpy(approximation), rtol=0, atol=1e-12)
    for j, triple in enumerate(reversed(details)):
        for o, theirs in enumerate(triple):
            ours = c[bands == 1 + 3 * j + o].view(theirs.shape)
            torch.testing.assert_close(ours, torch.from_numpy(theirs), rtol=0, atol=1e-12)


def test_horizontal_stripes_are_horizontal_detail():
    stripes = torch.zeros(64, 64, dtype=F64)
    stripes[::2] = 1
    W = Wavelets((64, 64), "haar", 1, dtype=F64)
    c = W.analyse(stripes)
    energy = [float(c[W.bands == 1 + o].square().sum()) for o in range(3)]
    assert energy[0] == pytest.approx(1024)
    assert max(energy[1:]) < 1e-20


def test_bands_partition_the_plane():
    bands = Wavelets((32, 64), "haar", 3).bands
    sizes = torch.bincount(bands.flatten())
    assert sizes.tolist() == [32, 512, 512, 512, 128, 128, 128, 32, 32, 32]


@pytest.mark.parametrize(
    ("size", "wavelet", "message"),
    [
        ((16, 16), "db4", "too small for 3 levels of db4: a side needs at least 32 pixels"),
        ((36, 64), "haar", "make both sides multiples of 8, e.g. 32"),
        ((64, 64), "db99", "unknown wavelet"),
        ((64, 64), "bior2.2", "not orthogonal"),
    ],
)
def test_a_size_that_does_not_fit_gets_a_clear_error(size, wavelet, message):
    with pytest.raises(UserError, match=message):
        check_size(size, wavelet, 3)


@given(prior=priors, seed=seeds, step=st.floats(0.1, 3))
def test_the_prox_minimises_its_problem(prior, seed, step):
    """Optimality against random and small moves; a wrong threshold scaling in τ fails it."""
    penalty = prior.build((1, 32, 32), F64)
    with torch.no_grad():
        penalty.log_weights.copy_(draw(seed + 1, 1, 3, 3) - 1)
        z = draw(seed, 1, 1, 32, 32)
        tau = torch.tensor(step, dtype=F64)
        p = penalty.prox(z, tau)

        def objective(x):
            return energy(penalty, x) + (x - z).square().sum() / (2 * tau)

        best = objective(p)
        for i, size in enumerate((1e-3, 1e-2, 1e-1, 1.0)):
            assert objective(p + size * draw(seed + 10 + i, *z.shape)) > best
            moved = p + size * (z - p)
            assert objective(moved) >= best * (1 - 1e-14)


@given(prior=priors, seed=seeds, step=st.floats(0.1, 3))
def test_the_prox_is_firmly_nonexpansive_and_contracts_by_its_ridge(prior, seed, step):
    penalty = prior.build((2, 32, 32), F64)
    tau = torch.tensor(step, dtype=F64)
    x, y = draw(seed, 1, 2, 32, 32), 0.1 * draw(seed + 1, 1, 2, 32, 32)
    with torch.no_grad():
        gap, moved = x - y, penalty.prox(x, tau) - penalty.prox(y, tau)
    assert moved.square().sum() <= (moved * gap).sum() * (1 + 1e-12)
    assert moved.norm() <= gap.norm() / (1 + step * prior.ridge) * (1 + 1e-12)


def test_l1_is_the_limit_of_huber():
    z, tau = draw(0, 1, 1, 32, 32), torch.tensor(0.7, dtype=F64)
    sharp = l1().build((1, 32, 32), F64).prox(z, tau)
    smooth = huber(1e-12, 1e-12).build((1, 32, 32), F64).prox(z, tau)
    torch.testing.assert_close(sharp, smooth, rtol=0, atol=1e-10)


def test_the_weights_are_one_per_channel_scale_and_orientation():
    penalty = l1().build((3, 32, 32), F64)
    assert penalty.log_weights.shape == (3, 3, 3)
    z = draw(0, 1, 3, 32, 32)
    before = penalty.prox(z, torch.tensor(1.0, dtype=F64))
    with torch.no_grad():
        penalty.log_weights[1, 2, 0] += 1
    change = penalty.wavelets.analyse(penalty.prox(z, torch.tensor(1.0, dtype=F64)) - before)
    hit = change.abs() > 1e-12
    assert hit[0, 1][penalty.wavelets.bands == 7].any()
    hit[0, 1][penalty.wavelets.bands == 7] = False
    assert not hit.any()


def test_the_forward_step_descends_the_data_term():
    """With an asymmetric blur: every blur of the tasks is its own adjoint, and would hide A in place of Aᵀ."""
    kernel = torch.zeros(1, 1, 5, 5, dtype=F64)
    kernel[0, 0, 0, 1], kernel[0, 0, 3, 4], kernel[0, 0, 2, 2] = 0.5, 0.3, 0.2
    physics = BlurFFT(img_size=(1, 32, 32), filter=kernel)
    x, y = draw(0, 2, 1, 32, 32).requires_grad_(), draw(1, 2, 1, 32, 32)
    (slope,) = torch.autograd.grad(0.5 * (physics.A(x) - y).square().sum(), x)
    prior = l1().build((1, 32, 32), F64)
    with torch.no_grad():
        prior.log_weights.fill_(-800)  # no penalty left: the prox is the identity
        moved = ForwardBackward(prior, 0.7)(x, y, physics)
    torch.testing.assert_close(moved, x - 0.7 * slope, rtol=0, atol=1e-12)


def test_a_step_is_learnable_on_request():
    prior = huber().build((1, 32, 32), F64)
    assert [n for n, _ in ForwardBackward(prior, 0.5).named_parameters()] == ["prior.log_weights"]
    learnable = dict(ForwardBackward(prior, 0.5, learn_step=True).named_parameters())
    assert learnable["log_step"].exp().item() == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("spectrum", "step", "ridge", "expected"),
    [
        ((1, 1), 1, 0, 0),
        ((0, 1), 1, 0, 1),
        ((0, 1), 1, 0.02, 1 / 1.02),
        ((0.5, 1), 1.6, 0, 0.6),
        ((0, 1), 3, 0, 2),
    ],
)
def test_the_contraction_factor_is_the_textbooks(spectrum, step, ridge, expected):
    assert math.isclose(contraction_factor(spectrum, step, ridge), expected)


def asymmetric(channels):
    kernel = torch.zeros(1, channels, 5, 5, dtype=F64)
    kernel[0, :, 0, 1], kernel[0, :, 3, 4], kernel[0, -1, 2, 2] = 0.5, 0.3, 0.2  # channels differ
    return kernel


class Doubled(BlurFFT):
    """Another map with the spectrum of a blur."""

    def A(self, x, filter=None, **kwargs):
        return 2 * super().A(x, filter, **kwargs)

    def A_adjoint(self, x, filter=None, **kwargs):
        return 2 * super().A_adjoint(x, filter, **kwargs)

    def A_adjoint_A(self, x, mask=None, **kwargs):
        return self.A_adjoint(self.A(x))


MEASUREMENTS = {
    "blur, grey": (1, lambda: BlurFFT((1, 12, 17), asymmetric(1))),
    "blur, colours": (3, lambda: BlurFFT((3, 12, 17), asymmetric(3))),
    "one blur, colours": (3, lambda: BlurFFT((3, 12, 17), asymmetric(1))),
    "inpainting": (3, lambda: Inpainting((3, 12, 17), mask=draw(0, 3, 12, 17).abs())),
    "denoising": (1, Denoising),
    "a subclass": (1, lambda: Doubled((1, 12, 17), asymmetric(1))),
    "no singular values": (1, lambda: Blur(asymmetric(1)[..., 1:4, 1:4], padding="circular")),
}
measurements = pytest.mark.parametrize("name", MEASUREMENTS)


@measurements
def test_the_normal_operator_is_the_adjoint_after_the_measurement(name):
    channels, make = MEASUREMENTS[name]
    physics, x = make(), draw(1, 2, channels, 12, 17)
    expected = physics.A_adjoint(physics.A(x))
    N = normal_operator(physics)
    torch.testing.assert_close(N(x), expected, rtol=0, atol=1e-13)
    torch.testing.assert_close(N(x[None].expand(3, -1, -1, -1, -1))[2], expected, rtol=0, atol=1e-13)


@measurements
def test_known_singular_values_spare_the_methods_of_the_physics(name):
    """They are not known of a subclass, which may be another map, nor of a convolution in space."""
    channels, make = MEASUREMENTS[name]
    physics, x = make(), draw(1, 2, channels, 12, 17)
    called = []

    def spy(method):
        def spied(*args, **kwargs):
            called.append(method)
            return plain[method](*args, **kwargs)

        return spied

    plain = {method: getattr(physics, method) for method in ("A", "A_adjoint", "A_adjoint_A")}
    with patch.multiple(physics, **{method: spy(method) for method in plain}):
        N = normal_operator(physics)
        called.clear()
        N(x)
    assert bool(called) == (name in ("a subclass", "no singular values"))


@measurements
def test_the_slope_of_the_data_term_and_its_derivatives(name):
    channels, make = MEASUREMENTS[name]
    physics, x, y = make(), draw(1, 2, channels, 12, 17).requires_grad_(), draw(2, 2, channels, 12, 17)
    v = draw(3, *x.shape)
    value = 0.5 * (physics.A(x) - y).square().sum()
    (slope,) = torch.autograd.grad(value, x, create_graph=True)
    (hessian,) = torch.autograd.grad(slope, x, v)
    term = data_fidelity(y, physics)
    descent = term.descent(x)
    torch.testing.assert_close(descent, -slope, rtol=0, atol=1e-12)
    torch.testing.assert_close(torch.autograd.grad(descent, x, v)[0], -hessian, rtol=0, atol=1e-12)
    alone = term.select(torch.tensor([1])).descent(x[1:])
    torch.testing.assert_close(alone, descent[1:], rtol=0, atol=1e-14)


def test_a_bound_operator_pulls_its_measurements_back_once():
    physics = BlurFFT((1, 32, 32), asymmetric(1))
    x, y = draw(0, 2, 1, 32, 32), draw(1, 2, 1, 32, 32)
    operator = huber().operator((1, 32, 32), 0.7, F64, "cpu")
    with patch.object(physics, "A_adjoint", wraps=physics.A_adjoint) as pulled:
        T = operator.bind(y, physics)
        first = T.select(torch.tensor([0]))
        for _ in range(3):
            T(x), first(x[:1])
    assert pulled.call_count == 1
    torch.testing.assert_close(T(x), operator(x, y, physics), rtol=0, atol=0)
    torch.testing.assert_close(first(x[:1]), operator(x[:1], y[:1], physics), rtol=0, atol=1e-14)


def test_the_tape_of_a_step_holds_the_prox_alone():
    """Three planes of the weights, the coefficients and what is clamped: neither A nor the wavelets leave anything."""
    physics = BlurFFT((1, 32, 32), asymmetric(1))
    operator = huber().operator((1, 32, 32), 0.7, F64, "cpu")
    T, x = operator.bind(draw(1, 4, 1, 32, 32), physics), draw(0, 4, 1, 32, 32).requires_grad_()
    known = [*operator.parameters(), *operator.buffers(), x]
    with saved_bytes(known) as saved:
        out = T(x)
    assert out.requires_grad
    plane = 8 * 32 * 32
    assert saved.count <= (3 + 2 * 4) * plane + 1024
