"""Plug-and-play forward–backward: its formula, its layers, its constant, and the values it takes. In float64."""

from __future__ import annotations

import math
import pickle
from dataclasses import replace

import pytest
import torch
from deepinv.physics import BlurFFT, Denoising
from hypothesis import given
from hypothesis import strategies as st

from bench.config.call_syntax import parse_call
from bench.denoisers import ScaledDenoiser, weights
from bench.denoisers.architectures import ARCHITECTURES, COMPACT, SIGMA_0, GradientStep
from bench.operators.plug_and_play import (
    PLUG_AND_PLAY_PRIORS,
    PlugAndPlay,
    dncnn,
    drunet,
    gsdrunet,
    scico,
    with_weights,
)
from bench.penalties import huber
from bench.utils.errors import UserError
from solvers import deq, unrolled
from tests.helpers.denoisers import small as small_network
from tests.helpers.tensors import F64, draw

SMALL = (1, 8, 8)


def small(seed=0, bound=0.9):
    return ScaledDenoiser(small_network(seed, bound=bound), SIGMA_0)


def asymmetric(shape=SMALL):
    """A blur that is not its own adjoint."""
    kernel = torch.zeros(1, 1, 5, 5, dtype=F64)
    kernel[0, 0, 0, 1], kernel[0, 0, 3, 4], kernel[0, 0, 2, 2] = 0.5, 0.3, 0.2
    return BlurFFT(img_size=shape, filter=kernel)


def saved(folder, name):
    torch.manual_seed(0)
    network = GradientStep(1, COMPACT) if name == "gsdrunet" else ARCHITECTURES[f"{name}_grey"].build()
    file = folder / f"{name}.safetensors"
    file.write_bytes(weights.weight_bytes(network, name))
    return str(file)


def test_one_step_is_the_formula():
    physics, denoiser = asymmetric(), small()
    x, y = draw(0, 2, *SMALL).requires_grad_(), draw(1, 2, *SMALL)
    (slope,) = torch.autograd.grad(0.5 * (physics.A(x) - y).square().sum(), x)
    expected = denoiser(x - 0.7 * slope, torch.tensor(0.2, dtype=F64))
    operator = PlugAndPlay(denoiser, 0.7, 0.2)
    torch.testing.assert_close(operator(x, y, physics), expected, rtol=0, atol=1e-13)
    torch.testing.assert_close(operator.bind(y, physics)(x), expected, rtol=0, atol=1e-13)
    assert operator.log_step.shape == operator.log_sigma.shape == ()
    assert operator.log_step.dtype == F64


def test_the_gradients_of_an_unrolled_network_are_right():
    physics, y, operator = asymmetric(), draw(1, 1, *SMALL), PlugAndPlay(small(), 0.7, 0.2)

    def loss(step, sigma):
        parameters = {"log_step": step, "log_sigma": sigma}

        def T(x):
            return torch.func.functional_call(operator, parameters, (x, y, physics))

        return unrolled(3)(T, y).x.square().sum()

    start = tuple(p.detach().requires_grad_() for p in (operator.log_step, operator.log_sigma))
    assert torch.autograd.gradcheck(loss, start, eps=1e-7, rtol=1e-4)


def spread(operator):
    """Give every layer a step and a level of its own."""
    with torch.no_grad():
        for k in range(operator.layers):
            operator.log_step[k] = math.log(0.3 + 0.1 * k)
            operator.log_sigma[k] = math.log(0.1 + 0.05 * k)
    return operator


def test_every_layer_has_its_own_parameters():
    physics, y, x = asymmetric(), draw(1, 2, *SMALL), draw(0, 2, *SMALL)
    operator = spread(PlugAndPlay(small(), 0.5, 0.1, layers=3))
    assert operator.log_step.shape == operator.log_sigma.shape == (3,)
    T, limit, expected = operator.bind(y, physics), operator.limit(y, physics), x
    for k in (0, 1, 2, 2, 2):
        alone = PlugAndPlay(operator.denoiser, 0.3 + 0.1 * k, 0.1 + 0.05 * k)
        torch.testing.assert_close(T(expected), alone(expected, y, physics), rtol=0, atol=1e-13)
        expected = alone(expected, y, physics)
    torch.testing.assert_close(limit(x), alone(x, y, physics), rtol=0, atol=1e-13)
    torch.testing.assert_close(limit(x), alone(x, y, physics), rtol=0, atol=1e-13)
    torch.testing.assert_close(operator.bind(y, physics)(x), operator(x, y, physics, 0), rtol=0, atol=0)
    assert operator.contraction((0.5, 1)) == alone.contraction((0.5, 1))


def test_unrolling_gives_every_layer_a_gradient_of_its_own():
    physics, y = asymmetric(), draw(1, 2, *SMALL)
    operator = spread(PlugAndPlay(small(), 0.5, 0.1, layers=3))
    unrolled(3)(operator.bind(y, physics), y).x.square().sum().backward()
    for parameter in (operator.log_step, operator.log_sigma):
        assert len({float(g) for g in parameter.grad}) == 3
        assert bool((parameter.grad != 0).all())
    operator.zero_grad()
    unrolled(2)(operator.bind(y, physics), y).x.square().sum().backward()
    assert operator.log_step.grad[2] == 0
    operator.zero_grad()
    deq(1e-4)(operator.limit(y, physics), y).x.square().sum().backward()
    assert operator.log_step.grad[:2].tolist() == [0, 0]
    assert operator.log_step.grad[2] != 0


@given(
    seed=st.integers(0, 200), step=st.floats(0.2, 1.8), sigma=st.floats(0.02, 0.5), bound=st.floats(0.1, 1.5)
)
def test_the_contraction_bounds_the_jacobian(seed, step, sigma, bound):
    physics = asymmetric()
    values = physics.mask.abs().square()
    spectrum = (float(values.min()), float(values.max()))
    operator = PlugAndPlay(small(seed, bound), step, sigma)
    x, y = draw(seed, 1, *SMALL), draw(seed + 1, 1, *SMALL)
    jacobian = torch.autograd.functional.jacobian(operator.bind(y, physics), x, vectorize=True).reshape(
        64, 64
    )
    certified = operator.contraction(spectrum)
    assert torch.linalg.matrix_norm(jacobian, ord=2) <= certified * (1 + 1e-12)
    factor = max(abs(1 - step * value) for value in spectrum)
    assert certified <= (1 + bound) * factor * (1 + 1e-9)
    assert certified >= factor


def test_a_constant_is_claimed_only_where_it_is_certified(tmp_path):
    for name in ("drunet", "gsdrunet"):
        prior = with_weights(PLUG_AND_PLAY_PRIORS[name](), saved(tmp_path, name))
        assert math.isnan(prior.operator((1, 32, 32), 0.5, F64, "cpu").contraction((1, 1)))
    assert math.isnan(PlugAndPlay(small(), 0.5, 0.1, autocast=True).contraction((1, 1)))


@pytest.mark.parametrize("learn", [False, True])
def test_what_learns(tmp_path, learn):
    prior = with_weights(dncnn(learn_weights=learn), saved(tmp_path, "dncnn"))
    operator = prior.operator((1, 16, 16), 0.5, F64, "cpu").train()
    assert operator.log_step.exp().item() == pytest.approx(0.5)
    assert operator.log_sigma.exp().item() == pytest.approx(0.05)
    assert not operator.denoiser.training
    learnt = {name for name, p in operator.named_parameters() if p.requires_grad}
    assert {"log_step", "log_sigma"} <= learnt
    assert len(operator.network_weights()) == len(learnt) - 2 == (12 if learn else 0)
    y = draw(0, 1, 1, 16, 16)
    unrolled(2)(operator.bind(y, Denoising()), y).x.square().sum().backward()
    assert {name for name, p in operator.named_parameters() if p.grad is not None} == learnt


@pytest.mark.parametrize("dtype", [torch.float32, F64])
def test_autocast_is_near_and_keeps_the_dtype(tmp_path, dtype):
    for name in ("drunet", "dncnn", "gsdrunet"):
        prior = with_weights(PLUG_AND_PLAY_PRIORS[name](), saved(tmp_path, name))
        x, y = draw(0, 1, 1, 32, 32).to(dtype), draw(1, 1, 1, 32, 32).to(dtype)
        exact = prior.operator((1, 32, 32), 0.5, dtype, "cpu")(x, y, Denoising())
        fast = replace(prior, autocast=True).operator((1, 32, 32), 0.5, dtype, "cpu")
        assert fast(x, y, Denoising()).dtype == dtype
        assert (fast(x, y, Denoising()) - exact).norm() < 0.05 * exact.norm()
        if dtype == torch.float32:
            assert not torch.equal(fast(x, y, Denoising()), exact)


LABELS = {
    "drunet": drunet(),
    "drunet(learn_weights=True)": drunet(learn_weights=True),
    "drunet(sigma=0.1, layers=10)": drunet(0.1, False, 10),
    "dncnn(sigma=1.0)": dncnn(1),
    "gsdrunet": gsdrunet(),
    "scico": scico(depth=6),
    "scico(sigma=0.1, depth=17, learn_weights=True, layers=2)": scico(0.1, 17, True, 2),
}


@pytest.mark.parametrize("label", LABELS)
def test_a_label_is_the_call_that_makes_it(label):
    prior = LABELS[label]
    assert prior.label == label
    again = parse_call(label, PLUG_AND_PLAY_PRIORS, "denoiser")
    assert again == prior
    assert hash(again) == hash(prior)
    assert pickle.loads(pickle.dumps(prior)) == prior
    assert "object at" not in repr(prior), "a key made of it would change from run to run"


def test_weights_are_told_apart_by_their_contents(tmp_path):
    first, second = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    first.write_bytes(b"1")
    second.write_bytes(b"1")
    priors = [with_weights(drunet(sigma=0.1), str(file)) for file in (first, second)]
    assert priors[0].label == "drunet(sigma=0.1, weights=a.safetensors)"
    assert priors[0] == priors[1]
    second.write_bytes(b"2")
    assert with_weights(drunet(sigma=0.1), str(second)) != priors[0]
    assert repr(with_weights(drunet(sigma=0.1), str(second))).replace("b.safe", "a.safe") != repr(priors[0])
    assert str(tmp_path) not in repr(priors[0]), "the same file elsewhere is the same"
    assert with_weights(drunet(), "download").label == "drunet(weights=download)"
    assert with_weights(drunet(), "download") != drunet()
    assert pickle.loads(pickle.dumps(priors[0])) == priors[0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("drunet(sigma=0)", r"sigma must lie in \(0, 1\]"),
        ("drunet(sigma=1.5)", r"sigma must lie in \(0, 1\]"),
        ("dncnn(sigma=True)", r"sigma must lie in \(0, 1\]"),
        ("dncnn(learn_weights=1)", "learn_weights must be True or False, not 1"),
        ("drunet(layers=-1)", "layers must be a whole number from 0 to 1000, not -1"),
        ("drunet(layers=1001)", "layers must be a whole number from 0 to 1000"),
        ("drunet(layers=2.0)", "layers must be a whole number"),
        ("gsdrunet(layers=True)", "layers must be a whole number"),
        ("scico(depth=7)", "depth must be 6 or 17, not 7"),
        ("scico(depth=True)", "depth must be 6 or 17, not True"),
        ("drunette", "did you mean drunet"),
    ],
)
def test_a_wrong_value_gets_one_clear_line(call, message):
    with pytest.raises(UserError, match=message):
        parse_call(call, PLUG_AND_PLAY_PRIORS, "denoiser")


@pytest.mark.parametrize("shape", [(1, 36, 32), (1, 24, 32), (3, 32, 100)])
@pytest.mark.parametrize("make", [drunet, gsdrunet])
def test_a_size_that_would_be_padded_is_refused(shape, make):
    with pytest.raises(UserError, match="at least 32 pixels in multiples of 8, not "):
        make().operator(shape, 0.5, torch.float32, "cpu")


def test_other_channels_are_refused():
    for make in (drunet, dncnn, gsdrunet, scico):
        with pytest.raises(UserError, match="images of 1 or 3 channels, not 2"):
            make().operator((2, 32, 32), 0.5, torch.float32, "cpu")


def test_weights_for_what_has_none_are_refused():
    with pytest.raises(UserError, match="huber has no network: leave --weights out"):
        with_weights(huber(), "download")
    with pytest.raises(UserError, match="scico brings its own weights"):
        with_weights(scico(), "download")


@pytest.mark.parametrize("prior", [drunet(), dncnn(), drunet(learn_weights=True, layers=2)])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_shipped_weights_serve(prior, channels):
    """Red until the weights are there."""
    operator = prior.operator((channels, 32, 32), 0.5, torch.float32, "cpu")
    y = torch.rand(1, channels, 32, 32)
    found = unrolled(2)(operator.bind(y, Denoising()), y).x
    assert bool(found.isfinite().all())
    found.square().sum().backward()
    assert operator.log_step.grad is not None
