"""DnCNN as shipped by scico."""

from __future__ import annotations

import math
from importlib.metadata import PackageNotFoundError, distribution

import numpy as np
import pytest
import skimage.data
import torch
from torch import nn

from bench.denoisers import (
    ScicoFamily,
    scico,
    weights,
)
from bench.studies.denoiser_training import evaluate
from bench.utils.errors import UserError
from tests.helpers.tensors import F64, draw


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
