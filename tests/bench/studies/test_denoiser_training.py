"""A training of a denoiser that resumes, its commands and its errors."""

from __future__ import annotations

from pathlib import Path

import pytest
import skimage.data
import torch
from PIL import Image

from bench.studies.denoiser_training import evaluate, train
from bench.utils.errors import UserError


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
    with pytest.raises(UserError, match="damaged: remove it to start over"):
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
