"""A training of a regulariser that resumes, its optimiser, commands and errors."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import skimage.data
import torch
from PIL import Image
from torch import nn

from bench.config.lookup import DenoiserOptions, parse_task
from bench.denoisers.weights import weight_bytes
from bench.studies.denoiser_training.crops import read_folders
from bench.studies.regulariser_training import compare, train
from bench.studies.regulariser_training.adabelief import AdaBelief
from bench.studies.regulariser_training.compare import difference_table
from bench.studies.regulariser_training.recipe import RECIPES
from bench.studies.regulariser_training.record import TrainingRecord, read_record
from bench.studies.regulariser_training.training import Budget, History, Training
from bench.studies.regulariser_training.validation import validation_crops
from bench.utils.errors import UserError

TINY = replace(RECIPES["fast"], solver="implicit(quasi_newton(1e-3, 5), cg(0.1))", batch=2, crop=24)


@pytest.fixture
def photographs(tmp_path) -> Path:
    folder = tmp_path / "photographs"
    folder.mkdir()
    for i in range(2):
        Image.fromarray(skimage.data.camera()[80 * i : 80 * i + 48, 100:160]).save(folder / f"{i}.png")
    return folder


def started(call="crr", recipe=TINY, steps=4, seed=7):
    return Training(parse_task(f"denoising({call})"), recipe, Budget(steps=steps), seed)


def fitted(training, photographs, checkpoint, looks=2):
    images = read_folders([photographs], 1, training.recipe.crop)
    validation = validation_crops(photographs, 0.1, 24)
    return train.fit_regulariser(training, images, validation, checkpoint, looks, progress=lambda line: None)


@pytest.mark.parametrize("call", ["crr", "wcrr", "icnn", "foe(convex=True)"])
def test_a_training_moves_every_parameter_and_records_its_cost(tmp_path, photographs, call):
    training = started(call, steps=2)
    before = [p.detach().clone() for p in training.operator.parameters()]
    record = fitted(training, photographs, tmp_path / "checkpoint")
    # The first gradient is 0 for parameters whose activation is nowhere active: biases of icnn.
    moved = [not torch.equal(a, b) for a, b in zip(before, training.operator.parameters(), strict=True)]
    assert all(moved) or (call == "icnn" and sum(moved) >= 4)
    history = record.history
    assert history.look_steps == [0, 1, 2]
    assert len(history.losses) == 2
    assert record.tape > 0
    assert 19 < record.noisy < 21
    assert 0 < history.products[0] < history.products[1]
    assert 0 < history.seconds[0] < history.seconds[1]
    assert all(0 < loss < 0.01 for loss in history.losses)
    record.write(tmp_path / "record.json")
    assert read_record(tmp_path / "record.json") == record


@pytest.mark.parametrize("optimiser", ["adam", "adabelief"])
def test_an_interrupted_training_ends_in_the_same_weights(tmp_path, monkeypatch, photographs, optimiser):
    recipe = replace(TINY, optimiser=optimiser)
    whole = started(recipe=recipe)
    record = fitted(whole, photographs, tmp_path / "whole")
    advance = Training.advance

    def stopped(self, given):
        if self.done == 3:
            raise KeyboardInterrupt
        return advance(self, given)

    monkeypatch.setattr(Training, "advance", stopped)
    with pytest.raises(KeyboardInterrupt):
        fitted(started(recipe=recipe), photographs, tmp_path / "parts")
    monkeypatch.setattr(Training, "advance", advance)
    torch.manual_seed(99)
    parts = started(recipe=recipe)
    resumed = fitted(parts, photographs, tmp_path / "parts")
    for a, b in ((whole.average, parts.average), (whole.operator, parts.operator)):
        assert all(
            torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True)
        )
    assert resumed.history.losses == record.history.losses
    assert resumed.history.look_psnr == record.history.look_psnr
    with pytest.raises(UserError, match="of another training"):
        fitted(started(recipe=recipe, steps=5), photographs, tmp_path / "parts")
    (tmp_path / "parts").write_bytes(b"damaged")
    with pytest.raises(UserError, match="damaged: remove it to start over"):
        fitted(started(recipe=recipe), photographs, tmp_path / "parts")


def test_a_training_raises_the_psnr(photographs):
    training = started(recipe=replace(TINY, rate=0.05, floor=1.0, average=0.0), steps=6)
    images, validation = read_folders([photographs], 1, 24), validation_crops(photographs, 0.1, 24)
    before = training.look(validation)
    for _ in range(6):
        training.advance(images)
    assert training.look(validation) > before + 0.1


def test_weights_go_through_a_file(tmp_path):
    training = started("wcrr")
    with torch.no_grad():
        training.average.regulariser.get_parameter("steepness").fill_(3.25)
    file = tmp_path / "w.safetensors"
    file.write_bytes(weight_bytes(training.average.regulariser, "wcrr"))
    prior = DenoiserOptions(str(file)).apply(parse_task("denoising(wcrr)")).prior
    loaded = prior.regulariser(torch.float32, "cpu").state_dict()
    own = training.average.regulariser.state_dict()
    assert loaded.keys() == own.keys()
    assert all(torch.equal(loaded[name], own[name]) for name in own)


def test_adabelief_follows_its_formula():
    gradients = [0.3, -0.2, 0.5]
    rate, first, second, eps = 0.01, 0.5, 0.9, 1e-8
    value, mean, spread = 1.0, 0.0, 0.0
    parameter = nn.Parameter(torch.tensor(1.0, dtype=torch.float64))
    optimiser = AdaBelief([parameter], rate, (first, second), eps)
    for t, gradient in enumerate(gradients, 1):
        mean = first * mean + (1 - first) * gradient
        spread = second * spread + (1 - second) * (gradient - mean) ** 2 + eps
        size = math.sqrt(spread / (1 - second**t)) + eps
        value -= rate * mean / (1 - first**t) / size
        parameter.grad = torch.tensor(gradient, dtype=torch.float64)
        optimiser.step()
        assert parameter.item() == pytest.approx(value, rel=1e-12)


def test_the_rate_falls_along_a_half_cosine():
    recipe = replace(TINY, rate=0.1, floor=0.01)
    assert recipe.rate_at(0) == pytest.approx(0.1)
    assert recipe.rate_at(0.5) == pytest.approx(0.1 * 1.01 / 2)
    assert recipe.rate_at(1) == pytest.approx(0.001)


def test_a_budget_of_products_ends_a_training_at_the_step_that_reaches_it(photographs):
    training = Training(parse_task("denoising(crr)"), TINY, Budget(products=20), 0)
    images = read_folders([photographs], 1, 24)
    while not training.ended:
        training.advance(images)
    assert training.history.products[-1] >= 20
    assert training.done == 1 or training.history.products[-2] < 20


def test_the_command_runs(tmp_path, monkeypatch, photographs):
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)
    out = tmp_path / "out" / "w.safetensors"
    line = f"crr --images {photographs} --test {photographs} --test-crop 24 --crop 24 --batch 1 --steps 2 --looks 2"
    line = [*line.split(), "--out", str(out), "--solver", TINY.solver]
    assert train.run_command(train.app, "train", line) == 0
    assert {f.name for f in out.parent.iterdir()} >= {"w.safetensors", "w.json", "w.csv", "w.png"}
    assert not out.with_suffix(".checkpoint").exists()
    record = json.loads(out.with_suffix(".json").read_text())
    assert record["recipe"]["solver"] == TINY.solver
    assert record["history"]["look_steps"] == [0, 1, 2]


def test_recipes_are_compared_at_equal_products_and_kept(tmp_path, monkeypatch, photographs, capsys):
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)
    monkeypatch.setattr(compare, "competitors", lambda: {"a": TINY, "b": replace(TINY, rate=1e-3)})
    line = f"crr --images {photographs} --test {photographs} --test-crop 24 --out {tmp_path / 'c'}"
    line = [*line.split(), "--products", "30", "--seeds", "2", "--looks", "4"]
    assert compare.run_command(compare.app, "compare", line) == 0
    table = (tmp_path / "c" / "comparison.md").read_text()
    assert table.count("±") == 6 + 3
    monkeypatch.setattr(Training, "advance", None)
    assert compare.run_command(compare.app, "compare", line) == 0
    assert (tmp_path / "c" / "comparison.md").read_text() == table


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (["cr", "--steps", "1"], "regulariser"),
        (["crr(7)", "--steps", "1"], "circular"),
        (["crr"], "--steps, --products or --seconds"),
        (["crr", "--steps", "1", "--recipe", "fat"], "did you mean fast"),
        (["crr", "--steps", "1", "--optimiser", "adan"], "did you mean adam"),
        (["crr", "--steps", "1", "--solver", "jfbb(3)"], "did you mean jfb"),
        (["crr", "--steps", "1", "--noise", "7"], "noise"),
        (
            ["crr", "--steps", "1", "--crop", "24", "--solver", "implicit(quasi_newton(0.01), shared(2))"],
            "no inverse to share",
        ),
        (["crr", "--steps", "1", "--crop", "64"], "smaller than the crops of 64×64"),
        (["crr", "--steps", "1", "--test-crop", "64"], "smaller than the crops of 64×64"),
    ],
)
def test_a_training_that_cannot_be_gets_one_clear_line(tmp_path, photographs, capsys, line, message):
    files = [
        "--images",
        str(photographs),
        "--test",
        str(photographs),
        "--out",
        str(tmp_path / "w.safetensors"),
    ]
    files = files if "--test-crop" in line else [*files, "--test-crop", "24"]
    assert train.run_command(train.app, "train", [*line, *files]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def record(name: str, seed: int, psnr: float) -> TrainingRecord:
    history = History(
        losses=[1.0], products=[800.0], seconds=[2.0], look_steps=[0, 1], look_psnr=[20.0, psnr]
    )
    return TrainingRecord(name, {"seed": seed, "solver": "jfb(1)"}, history, 1, 20.0)


def test_recipes_are_told_apart_by_pairs_of_one_seed():
    """Seeds differ by decibels, recipes by a tenth; Student's t of two pairs is 12.7, of three 4.30."""
    first = [record("fast", k, 24.0 + k) for k in range(3)]
    other = [record("JFB", k, 24.1 + k + 0.01 * (k - 1)) for k in range(3)]
    alike = [record("IFT", k, 24.0 + k + 0.1 * (k - 1)) for k in range(3)]
    table = difference_table([*first, *other, *alike], 800).set_index("recipe")
    assert table.loc["JFB", "800 products"] == "+0.10 ± 0.02 dB"
    assert table.loc["IFT", "800 products"] == "+0.00 ± 0.25 dB"
    assert list(table["told apart"]) == ["yes", "no"]
    assert difference_table([first[0], other[0]], 800).empty
