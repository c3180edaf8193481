"""Denoisers: certified constants, scaling, weights that do not fit, and a training that resumes. Mostly in float64."""

from __future__ import annotations

import math
import os
import pickle
import urllib.error
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch
from deepinv.models import DnCNN
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import nn

from bench.denoisers import (
    DncnnFamily,
    DrunetFamily,
    GsDrunetFamily,
    ScaledDenoiser,
    ScicoFamily,
    scico,
    weight_file,
    weights,
)
from bench.denoisers.architectures import (
    ARCHITECTURES,
    COMPACT,
    SIGMA_0,
    GradientStep,
    convolution_norm,
    limit_lipschitz,
    residual_lipschitz,
)
from bench.denoisers.base import noise_map
from bench.studies.denoiser_training import evaluate, train
from bench.utils.errors import UserError

F64 = torch.float64
SHIPPED = sorted(ARCHITECTURES)


def draw(seed, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


def small(seed=0, channels=1, bound=None):
    """A DnCNN of three layers with random weights and biases."""
    torch.manual_seed(seed)
    network = DnCNN(channels, channels, depth=3, nf=4, pretrained=None).double()
    if bound:
        limit_lipschitz(network, bound)
    return network


def write(folder: Path, name: str, network: nn.Module, dtype=torch.float32):
    file = folder / f"{name}.safetensors"
    file.write_bytes(weights.weight_bytes(network, name, dtype))
    return weight_file(str(file))


def dense(weight, size, padding_mode="zeros"):
    """The matrix of a padded convolution of images of ``size``."""
    outputs, inputs, side, _ = weight.shape
    layer = nn.Conv2d(
        inputs, outputs, side, padding=side // 2, padding_mode=padding_mode, bias=False, dtype=F64
    )
    with torch.no_grad():
        layer.weight.copy_(weight)
        return layer(torch.eye(inputs * size[0] * size[1], dtype=F64).reshape(-1, inputs, *size)).flatten(1).T


@given(
    seed=st.integers(0, 10_000),
    channels=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    side=st.sampled_from([1, 3, 5]),
    size=st.tuples(st.integers(4, 9), st.integers(4, 9)),
    mode=st.sampled_from(["zeros", "circular"]),
)
def test_the_norm_of_a_convolution_is_bounded_on_every_size(seed, channels, side, size, mode):
    weight = draw(seed, *channels, side, side)
    exact = torch.linalg.matrix_norm(dense(weight, size, mode), ord=2)
    for grid in (16, 32, 64):
        assert exact <= convolution_norm(weight, grid) * (1 + 1e-12)


def test_the_bound_is_tight_and_a_coarse_grid_alone_is_none():
    """``(1 + 2a cos ω)² + 4 sin² ω`` peaks at ω = 5π/16, halfway between two of 16 frequencies."""
    cosine = math.cos(5 * math.pi / 16)
    a = (math.sqrt(1 + 16 * cosine**2) - 1) / (4 * cosine)
    weight = torch.zeros(2, 1, 3, 3, dtype=F64)
    weight[:, 0, 1] = torch.tensor([[a, 1, a], [1, 0, -1]], dtype=F64)
    exact = torch.linalg.matrix_norm(dense(weight, (1, 200)), ord=2)
    assert convolution_norm(weight, 16) * math.cos(math.pi / 16) ** 2 < exact
    assert exact <= convolution_norm(weight, 16) <= exact / math.cos(math.pi / 16) ** 2
    assert exact <= convolution_norm(weight, 64) <= exact * 1.003


def test_the_bound_is_attained():
    """``4 sin ω₁ sin ω₂`` on a grid that misses its peak by as much as can be, in both directions."""
    taps = torch.tensor([1, 0, -1], dtype=F64)
    weight = torch.outer(taps, taps)[None, None]
    assert convolution_norm(weight, 6) == pytest.approx(4, rel=1e-12)
    assert convolution_norm(weight, 64) == pytest.approx(4 / math.cos(math.pi / 64) ** 2, rel=1e-12)


@given(seed=st.integers(0, 10_000), bound=st.floats(0.1, 2))
def test_a_limited_network_keeps_its_constant(seed, bound):
    network = small(seed, bound=bound)
    assert residual_lipschitz(network) <= bound * (1 + 1e-12)
    x, y = draw(seed, 1, 1, 9, 7), draw(seed + 1, 1, 1, 9, 7) * 0.1
    with torch.no_grad():
        moved = (x - network(x)) - (y - network(y))
    assert moved.norm() <= residual_lipschitz(network) * (x - y).norm()


@given(seed=st.integers(0, 1000), sigma=st.floats(0.01, 1))
def test_scaling_keeps_the_constant_of_the_residual(seed, sigma):
    scaled, level = ScaledDenoiser(small(seed), SIGMA_0), torch.tensor(sigma, dtype=F64)
    x = draw(seed, 1, 1, 6, 6)

    def norm(factor, at):
        return torch.linalg.matrix_norm(
            torch.autograd.functional.jacobian(lambda z: z - scaled(z, at), x * factor).reshape(36, 36), ord=2
        )

    measured, at_own = norm(sigma / SIGMA_0, level), norm(1.0, torch.tensor(SIGMA_0, dtype=F64))
    torch.testing.assert_close(measured, at_own, rtol=1e-10, atol=0)
    assert measured <= scaled.residual_lipschitz()
    assert scaled.residual_lipschitz() == residual_lipschitz(scaled.network)


def test_the_measured_constant_is_the_jacobians():
    denoiser, x = ScaledDenoiser(small(), 0.1), draw(0, 1, 1, 6, 6)
    jacobian = torch.autograd.functional.jacobian(lambda z: z - denoiser(z, torch.tensor(0.2, dtype=F64)), x)
    exact = torch.linalg.matrix_norm(jacobian.reshape(36, 36), ord=2)
    assert evaluate.measured_lipschitz(denoiser, x, 0.2, 300) == pytest.approx(float(exact), rel=1e-6)


def test_at_its_own_level_a_scaled_network_is_the_network():
    network, x = small(), draw(0, 2, 1, 8, 8)
    torch.testing.assert_close(
        ScaledDenoiser(network, 0.1)(x, torch.tensor(0.1, dtype=F64)), network(x), rtol=1e-13, atol=0
    )


def test_each_sample_may_have_its_own_level():
    network, x, levels = (
        ScaledDenoiser(small(channels=3), 0.1),
        draw(0, 2, 3, 8, 8),
        torch.tensor([0.05, 0.2], dtype=F64),
    )
    together = network(x, levels.view(2, 1, 1, 1))
    apart = torch.cat([network(x[i : i + 1], levels[i]) for i in range(2)])
    torch.testing.assert_close(together, apart, rtol=0, atol=1e-13)
    assert noise_map(x, levels.view(2, 1, 1, 1))[:, 0, 3, 3].tolist() == levels.tolist()


def families(folder):
    """A small member of every family, in float64."""
    torch.manual_seed(0)
    drunet = write(folder, "drunet_grey", ARCHITECTURES["drunet_grey"].build())
    dncnn = write(folder, "dncnn_grey", ARCHITECTURES["dncnn_grey"].build())
    steps = write(folder, "gsdrunet", GradientStep(1, COMPACT))
    return {
        "drunet": DrunetFamily().build(1, F64, "cpu", drunet),
        "dncnn": DncnnFamily().build(1, F64, "cpu", dncnn),
        "gsdrunet": GsDrunetFamily().build(1, F64, "cpu", steps),
    }


@pytest.mark.parametrize("name", ["drunet", "dncnn", "gsdrunet"])
def test_the_derivatives_in_image_and_level_are_right(tmp_path, name):
    """Against finite differences; and once more for the derivative, where the activations allow."""
    denoiser, x = families(tmp_path)[name], 0.5 + 0.1 * draw(0, 1, 1, 32, 32)
    direction, sense = draw(1, *x.shape), draw(2, *x.shape)

    def along(a, b):
        return (denoiser(x + a * direction, torch.exp(b) * 0.1) * sense).sum()

    start = tuple(torch.zeros((), dtype=F64, requires_grad=True) for _ in range(2))
    assert torch.autograd.gradcheck(along, start, eps=1e-7, rtol=1e-4, atol=1e-6)
    slope = torch.autograd.grad(along(*start), start, create_graph=True)
    second = torch.autograd.grad(slope[0] + slope[1], [*denoiser.parameters()], allow_unused=True)
    assert all(g is None or bool(g.isfinite().all()) for g in second)
    assert any(g is not None and bool(g.any()) for g in second)
    with torch.no_grad():
        torch.testing.assert_close(along(*start), along(*start).detach(), rtol=0, atol=0)
    pushed = torch.func.jvp(lambda z: denoiser(z, torch.tensor(0.1, dtype=F64)), (x,), (direction,))[1]
    torch.testing.assert_close((pushed * sense).sum(), slope[0].detach(), rtol=1e-9, atol=0)


@pytest.mark.parametrize("name", ["drunet", "dncnn", "gsdrunet"])
def test_dtypes_agree_and_evaluation_mode_stays(tmp_path, name):
    denoiser, x = families(tmp_path)[name], draw(0, 1, 1, 32, 32)
    exact = denoiser(x, torch.tensor(0.1, dtype=F64))
    assert exact.dtype == F64
    assert not denoiser.train().training
    assert not any(module.training for module in denoiser.modules())
    single = denoiser.float()(x.float(), torch.tensor(0.1))
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), exact, rtol=1e-4, atol=1e-4)


def test_float64_is_not_lost_in_the_noise_level(tmp_path):
    """deepinv fills the map of a scalar level in float32; that of 0.1 is off by 1.5e-9."""
    denoiser, x = families(tmp_path)["drunet"], draw(0, 1, 1, 32, 32)
    level = torch.full((1, 1, 32, 32), 0.1, dtype=F64)
    exact = denoiser.network(x, level)
    torch.testing.assert_close(denoiser(x, torch.tensor(0.1, dtype=F64)), exact, rtol=0, atol=0)


def test_the_gradient_step_is_that_of_its_potential(tmp_path):
    denoiser, x = families(tmp_path)["gsdrunet"], draw(0, 2, 1, 32, 32).requires_grad_()
    sigma = torch.tensor(0.1, dtype=F64)
    potential = denoiser.network.potential(x, noise_map(x, sigma)).sum()
    (slope,) = torch.autograd.grad(potential, x)
    torch.testing.assert_close(denoiser(x, sigma), x - slope, rtol=0, atol=1e-12)
    with torch.no_grad():
        torch.testing.assert_close(denoiser(x, sigma), x - slope, rtol=0, atol=1e-12)
    assert not denoiser.requires_grad_(False)(x.detach(), sigma).requires_grad


def test_building_leaves_the_random_numbers_alone(tmp_path):
    file = write(tmp_path, "drunet_grey", ARCHITECTURES["drunet_grey"].build())
    before = torch.get_rng_state()
    DrunetFamily().build(1, torch.float32, "cpu", file)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_file_gives_the_network_that_was_saved(tmp_path, name):
    network = ARCHITECTURES[name].build().double()
    file, family = write(tmp_path, name, network), evaluate.NAMED[name][0]
    channels = ARCHITECTURES[name].channels
    x = draw(0, 1, channels, 32, 32)
    loaded = family.build(channels, F64, "cpu", file)
    expected = family.build(channels, F64, "cpu", write(tmp_path, "again", network, F64))
    assert (
        loaded(x, torch.tensor(0.1, dtype=F64)) - expected(x, torch.tensor(0.1, dtype=F64))
    ).abs().max() < 1e-4
    kept = expected.network.state_dict()
    assert all(torch.equal(kept[key], value) for key, value in network.state_dict().items())


def test_the_published_dncnn_is_recognised_by_its_shapes(tmp_path):
    torch.manual_seed(0)
    torch.save(DnCNN(1, 1, pretrained=None).state_dict(), tmp_path / "theirs.pth")
    found = DncnnFamily().build(1, torch.float32, "cpu", weight_file(str(tmp_path / "theirs.pth")))
    assert isinstance(found, ScaledDenoiser)
    assert found.sigma_0 == 2 / 255
    assert len(found.network.conv_list) == 18


def test_packing_halves_a_file_and_rounds(tmp_path):
    network = ARCHITECTURES["drunet_grey"].build()
    file = tmp_path / "w.safetensors"
    file.write_bytes(weights.weight_bytes(network, "drunet_grey"))
    packed = weights.pack(file, "drunet_grey", torch.float16)
    assert len(packed) < 0.55 * file.stat().st_size
    for key, value in weights.parse_weights(packed, "w.safetensors").items():
        assert value.dtype == torch.float16
        torch.testing.assert_close(value.float(), network.state_dict()[key], rtol=2**-11, atol=1e-7)


class Evil:
    """Runs code when it is unpickled."""

    def __reduce__(self):
        return os.system, ("touch pwned",)


def corrupt(folder: Path, how: str) -> Path:
    """A weight file with something wrong in it."""
    good = weights.weight_bytes(ARCHITECTURES["dncnn_grey"].build(), "dncnn_grey")
    name = {"pickle": "w.pth", "text as torch": "w.pth", "list": "w.pth"}.get(how, "w.safetensors")
    file = folder / name
    nan = ARCHITECTURES["dncnn_grey"].build()
    nan.out_conv.bias.data.fill_(math.nan)
    torch.save([1, 2], folder / "list")
    contents = {
        "flipped header": good[:40] + bytes([good[40] ^ 0x80]) + good[41:],
        "truncated": good[:-100],
        "empty": b"",
        "text": b"these are no weights\n",
        "text as torch": b"these are no weights\n",
        "pickle": pickle.dumps(Evil()),
        "list": (folder / "list").read_bytes(),
        "other network": weights.weight_bytes(ARCHITECTURES["drunet_grey"].build(), "drunet_grey"),
        "other channels": weights.weight_bytes(DnCNN(3, 3, depth=6, nf=32, pretrained=None), "dncnn_colour"),
        "nan": weights.weight_bytes(nan, "dncnn_grey"),
    }
    file.write_bytes(contents[how])
    return file


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("flipped header", "damaged or not safetensors"),
        ("truncated", "damaged or not safetensors"),
        ("empty", "damaged or not safetensors"),
        ("text", "damaged or not safetensors"),
        ("text as torch", "neither safetensors nor tensors saved by torch: nothing was loaded"),
        ("pickle", "neither safetensors nor tensors saved by torch: nothing was loaded"),
        ("list", "hold no state dict"),
        ("other network", r"not of this DnCNN: .* missing \(e.g. conv_list.0.bias\), .* foreign"),
        (
            "other channels",
            r"not of this DnCNN: in_conv.weight is \(32, 3, 3, 3\) and should be \(32, 1, 3, 3\)",
        ),
        ("nan", "values that are not finite numbers, in out_conv.bias"),
    ],
)
def test_weights_that_do_not_fit_get_one_clear_line(tmp_path, monkeypatch, how, message):
    monkeypatch.chdir(tmp_path)
    file = weight_file(str(corrupt(tmp_path, how)))
    with pytest.raises(UserError, match=message) as caught:
        DncnnFamily().build(1, torch.float32, "cpu", file)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "pwned").exists()


def test_a_file_that_is_missing_or_changes_gets_one_clear_line(tmp_path):
    with pytest.raises(UserError, match=r"cannot read the weights .*none.safetensors: No such file"):
        weight_file(str(tmp_path / "none.safetensors"))
    file = write(tmp_path, "w", ARCHITECTURES["dncnn_grey"].build())
    Path(file.source).write_bytes(b"other")
    with pytest.raises(UserError, match="have changed since the run began"):
        DncnnFamily().build(1, torch.float32, "cpu", file)


@pytest.mark.parametrize("family", [DrunetFamily(), DncnnFamily(), GsDrunetFamily()])
def test_a_download_without_a_network_gets_one_clear_line(monkeypatch, family):
    def offline(*args, **kwargs):
        assert kwargs["weights_only"] is True
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", offline)
    with pytest.raises(UserError, match=r"cannot download .* \(URLError\): is there a network\?"):
        family.build(1, torch.float32, "cpu", weight_file("download"))


def test_shipped_weights_answer_for_their_checksum(tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "FOLDER", tmp_path)
    monkeypatch.setattr(weights, "SUMS", tmp_path / "SHA256SUMS")
    with pytest.raises(UserError, match=r"shipped weights dncnn_grey.safetensors cannot be read"):
        DncnnFamily().build(1, torch.float32, "cpu", None)
    file = write(tmp_path, "dncnn_grey", ARCHITECTURES["dncnn_grey"].build())
    (tmp_path / "SHA256SUMS").write_text(f"{file.digest}  dncnn_grey.safetensors\n")
    DncnnFamily().build(1, torch.float32, "cpu", None)
    data = bytearray(Path(file.source).read_bytes())
    data[-1] ^= 1  # one bit of one weight
    Path(file.source).write_bytes(data)
    with pytest.raises(UserError, match="fail their checksum"):
        DncnnFamily().build(1, torch.float32, "cpu", None)


def test_gsdrunet_says_that_it_ships_nothing():
    with pytest.raises(UserError, match="no shipped weights: give --weights download, or --weights PATH"):
        GsDrunetFamily().build(1, torch.float32, "cpu", None)


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_weights_denoise(name):
    family, channels = evaluate.NAMED[name]
    image = torch.from_numpy(skimage.data.camera() if channels == 1 else skimage.data.chelsea()).float() / 255
    image = image[None] if channels == 1 else image.permute(2, 0, 1)
    patch, denoiser = image[:, 64:192, 160:288], family.build(channels, torch.float32, "cpu", None)
    before = -20 * math.log10(25 / 255)
    assert evaluate.mean_psnr(denoiser, [patch], 25 / 255) > before + (6 if family.name == "drunet" else 4)
    if ARCHITECTURES[name].lipschitz is not None:
        assert denoiser.residual_lipschitz() < 1


def have_scico():
    try:
        return bool(distribution("scico"))
    except PackageNotFoundError:
        return False


needs_scico = pytest.mark.skipif(
    not have_scico(), reason="the package scico, which brings the weights, is absent"
)


@needs_scico
@pytest.mark.parametrize("depth", [6, 17])
def test_scico_denoises_the_cameraman(depth):
    camera = torch.from_numpy(skimage.data.camera()).float()[None, :256, 128:384] / 255
    denoiser = ScicoFamily(depth).build(1, torch.float32, "cpu", None)
    assert evaluate.mean_psnr(denoiser, [camera], 0.1) >= -20 * math.log10(0.1) + 6
    assert evaluate.mean_psnr(denoiser, [camera], 0.05) >= -20 * math.log10(0.05) + 4


@needs_scico
def test_scico_takes_colours_one_by_one():
    denoiser, x = ScicoFamily(6).build(3, F64, "cpu", None), draw(0, 2, 3, 8, 8)
    sigma = torch.tensor([0.1, 0.2], dtype=F64).view(2, 1, 1, 1)
    apart = torch.cat([denoiser(x[:, c : c + 1], sigma) for c in range(3)], 1)
    torch.testing.assert_close(denoiser(x, sigma), apart, rtol=0, atol=1e-13)


def test_scicos_layers_are_folded_exactly():
    """Against its definition: x − C(…), batch normalisation from running statistics, circular padding."""
    rng = np.random.default_rng(0)

    def kernel(i, o):
        return {"kernel": rng.standard_normal((3, 3, i, o), dtype=np.float32)}

    norm, stats = (
        {k: rng.random(64, dtype=np.float32) + 0.5 for k in keys}
        for keys in (("scale", "bias"), ("mean", "var"))
    )
    params = {"conv_start": kernel(1, 64), "conv_end": kernel(64, 1)}
    params["ConvBNBlock_0"] = {"Conv_0": kernel(64, 64), "BatchNorm_0": norm}
    network = scico.circular_dncnn(3)
    folded = scico.fold(params, {"ConvBNBlock_0": {"BatchNorm_0": stats}}, 3)
    weights.load_weights(network, folded, "test", F64)

    def convolve(x, layer):
        w = torch.from_numpy(layer["kernel"]).double().permute(3, 2, 0, 1)
        return nn.functional.conv2d(nn.functional.pad(x, (1, 1, 1, 1), mode="circular"), w)

    x = draw(0, 1, 1, 7, 9)
    hidden = convolve(convolve(x, params["conv_start"]).relu(), params["ConvBNBlock_0"]["Conv_0"])
    mean, var, scale, bias = (torch.from_numpy(a).double() for a in (*stats.values(), *norm.values()))
    hidden = nn.functional.batch_norm(hidden, mean, var, scale, bias, eps=1e-5).relu()
    torch.testing.assert_close(network(x), x - convolve(hidden, params["conv_end"]), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("missing", ["scico", "msgpack"])
def test_scico_says_what_to_install(monkeypatch, missing):
    def absent(name):
        raise (PackageNotFoundError if missing == "scico" else ModuleNotFoundError)(name)

    if missing == "scico":
        monkeypatch.setattr(scico, "distribution", absent)
    else:
        monkeypatch.setattr(scico.importlib, "import_module", absent)
    with pytest.raises(UserError, match="pip install --no-deps scico msgpack"):
        ScicoFamily(6).build(1, torch.float32, "cpu", None)


@pytest.fixture
def photographs(tmp_path) -> Path:
    folder = tmp_path / "photographs"
    folder.mkdir()
    Image.fromarray(skimage.data.camera()[:80, :96]).save(folder / "grey.png")
    Image.fromarray(skimage.data.astronaut()[:80, :88]).save(folder / "colour.png")
    return folder


@pytest.mark.parametrize("name", ["drunet_colour", pytest.param("dncnn_grey", marks=pytest.mark.slow)])
def test_an_interrupted_training_ends_in_the_same_weights(tmp_path, monkeypatch, photographs, name):
    recipe = train.Recipe(name, steps=4, batch=1, crop=32, rate=1e-3, seed=7)
    images = train.read_folders([photographs], recipe.network.channels, 32)
    whole = train.fit_network(recipe, images, tmp_path / "whole", "cpu", every=2)
    advance = train.Training.advance

    def stopped(self, given):
        if self.done == 3:
            raise KeyboardInterrupt
        return advance(self, given)

    monkeypatch.setattr(train.Training, "advance", stopped)
    with pytest.raises(KeyboardInterrupt):
        train.fit_network(recipe, images, tmp_path / "parts", "cpu", every=2)
    monkeypatch.setattr(train.Training, "advance", advance)
    torch.manual_seed(99)
    parts = train.fit_network(recipe, images, tmp_path / "parts", "cpu", every=2)
    assert all(
        torch.equal(a, b)
        for a, b in zip(whole.state_dict().values(), parts.state_dict().values(), strict=True)
    )
    other = train.Recipe(name, steps=5, batch=1, crop=32, rate=1e-3, seed=7)
    with pytest.raises(UserError, match="of another run"):
        train.fit_network(other, images, tmp_path / "parts", "cpu")
    (tmp_path / "parts").write_bytes(b"damaged")
    with pytest.raises(UserError, match="damaged: remove it to start again"):
        train.fit_network(recipe, images, tmp_path / "parts", "cpu")


def test_the_commands_run(tmp_path, monkeypatch, photographs, capsys):
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)
    out = tmp_path / "w.safetensors"
    line = ["dncnn_grey", "--images", str(photographs), "--out", str(out), "--steps", "2", "--batch", "1"]
    assert train.run_command(train.app, "train", line) == 0
    assert sorted(f.name for f in tmp_path.iterdir()) == ["photographs", "w.safetensors"]
    line = ["dncnn_grey", "--images", str(photographs), "--weights", str(out)]
    assert evaluate.run_command(evaluate.app, "evaluate", line) == 0
    shown = capsys.readouterr().out.split()
    certified, measured = float(shown[-2]), float(shown[-1])
    assert 0 < measured <= certified <= 0.99 * 1.0001


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (["drunet_gray", "--out", "w.safetensors"], "did you mean drunet_grey"),
        (["drunet_grey", "--out", "w.pth"], "--out must be a .safetensors file"),
        (["dncnn_grey", "--out", "w.safetensors", "--half"], "round away the certified constant"),
        (["drunet_grey", "--out", "w.safetensors", "--crop", "36"], "multiple of 8"),
        (["drunet_grey", "--out", "w.safetensors", "--crop", "88"], "smaller than the crops of 88×88"),
    ],
)
def test_a_training_that_cannot_be_gets_one_clear_line(photographs, capsys, line, message):
    assert train.run_command(train.app, "train", [*line, "--images", str(photographs)]) == 2
    assert message in capsys.readouterr().err
