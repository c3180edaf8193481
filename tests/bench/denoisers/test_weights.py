"""Weight files: recognised, packed, refused."""

from __future__ import annotations

import math
import os
import pickle
import urllib.error
from pathlib import Path

import pytest
import skimage.data
import torch
from deepinv.models import DnCNN

from bench.denoisers import (
    DncnnFamily,
    DrunetFamily,
    GsDrunetFamily,
    ScaledDenoiser,
    weight_file,
    weights,
)
from bench.denoisers.architectures import (
    ARCHITECTURES,
)
from bench.studies.denoiser_training import evaluate
from bench.utils.errors import UserError
from tests.helpers.denoisers import SHIPPED, write
from tests.helpers.tensors import F64, draw


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
