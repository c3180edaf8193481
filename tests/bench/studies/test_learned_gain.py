"""Learned weights against one hand-tuned weight: the search, what is learned, the tables, and the command."""

from __future__ import annotations

import math
import statistics

import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bench.config.lookup import parse_task
from bench.config.matrix import load_profile
from bench.studies.intervals import mean_interval
from bench.studies.learned_gain.__main__ import entry
from bench.studies.learned_gain.measure import FACTOR, GRID, Equilibrium, Gain, climb, fast_problem, measure
from bench.studies.learned_gain.study import MODALITIES, Plan, gain_study
from bench.studies.learned_gain.table import gain_table, in_words
from bench.studies.modality_pictures import MODALITIES as PICTURES
from bench.studies.modality_pictures import draw, picture
from bench.studies.objective import objective_of
from bench.tasks.images import Layout, find_images
from tests.helpers.commands import refused

LAYOUT = Layout(32, 2, 2)


@given(st.integers(1, 40), st.integers(-5, 45), st.floats(0.3, 3))
def test_the_search_finds_the_maximum_and_never_calls_twice(count, top, power):
    called = list[int]()

    def value(index):
        called.append(index)
        return -(abs(index - top) ** power)

    assert climb(value, count) == min(max(top, 0), count - 1)
    assert len(called) == len(set(called))
    assert all(0 <= index < count for index in called)


def test_the_interval_is_that_of_scipy():
    from scipy.stats import ttest_1samp

    values = [0.3, 0.5, 1.1, 0.2]
    mean, half = mean_interval(values)
    low, high = ttest_1samp(values, 0).confidence_interval(0.95)
    assert (mean - half, mean + half) == pytest.approx((low, high))


@pytest.mark.parametrize("text", ["denoising(huber)", "poisson(huber)"])
def test_learning_starts_at_the_best_weight_of_the_grid(text):
    """No neighbour on the grid has a better PSNR on the training images; learning raises it further."""
    task, images = parse_task(text), find_images()
    gain = measure(task, images, LAYOUT, 0)
    problem = fast_problem(task, images, LAYOUT, 0)
    objective, train = objective_of(problem), Equilibrium(problem, problem.train)

    def training(weight):
        objective.move(torch.full_like(objective.theta(), math.log(weight)))
        return float(train.psnr().mean())

    assert training(gain.weight) == pytest.approx(gain.hand_training, abs=0.01)
    for neighbour in (gain.weight * FACTOR, gain.weight / FACTOR):
        assert training(neighbour) < gain.hand_training
    assert gain.learned_training > gain.hand_training
    assert len(gain.weights) == objective.theta().numel() > 1
    assert not gain.on_edge
    objective.move(torch.tensor(gain.weights, dtype=torch.float64).log())
    assert Equilibrium(problem, problem.test).psnr().tolist() == pytest.approx(gain.learned, abs=0.01)
    assert gain.gain == pytest.approx(statistics.mean(gain.learned) - statistics.mean(gain.hand))


def test_the_operator_has_the_same_equilibrium():
    task, images = parse_task("inpainting(huber)"), find_images()
    fast = fast_problem(task, images, LAYOUT, 0)
    assert type(fast.operator).__name__ != "ForwardBackward"
    assert (
        type(fast_problem(parse_task("poisson(huber)"), images, LAYOUT, 0).operator).__name__
        == "ForwardBackward"
    )


def fake(hand, learned, weight=0.1):
    return Gain(weight, [0.1, 0.2], 10.0, [hand], [learned], hand, learned, 3, "steps", False)


def test_the_table_says_where_the_gain_does_not_exceed_its_interval():
    clear = [fake(20, 21.0), fake(22, 23.1), fake(24, 24.9)]
    table = gain_table({("a", "x"): clear, ("b", "y"): [fake(20, 20.5), fake(20, 19.8, 0.2), fake(20, 20.1)]})
    assert table["told_apart"].tolist() == [True, False]
    assert table["gain"].tolist() == pytest.approx([1.0, 0.4 / 3])
    assert table["hand"].tolist() == pytest.approx([22, 20])
    words = in_words(table)
    assert "| `a`    | x        |   10.00 |        22.00 |         0.1 |" in words
    assert "0.1 to 0.2" in words


def test_the_tasks_are_those_of_the_profile():
    parts = load_profile("modalities").parts()
    assert list(MODALITIES) == [task for part in parts for task in part.tasks]
    assert len(GRID) == len(set(GRID))


def test_what_is_measured_is_kept(tmp_path, monkeypatch):
    plan = Plan(2, LAYOUT, None, {"denoising(huber)": None})
    lines = list[str]()
    files = gain_study(plan, tmp_path, lines.append)
    assert [file.name for file in files] == [
        "gain.md",
        "gain.csv",
        "gain.parquet",
        "seeds.csv",
        "seeds.parquet",
    ]
    assert len(lines) == 2
    assert len(list((tmp_path / "measured").iterdir())) == 2
    before = files[0].read_text()
    monkeypatch.setattr("bench.studies.learned_gain.study.measure", None)
    assert gain_study(plan, tmp_path)[0].read_text() == before
    seeds = pd.read_csv(tmp_path / "seeds.csv")
    assert (seeds["learned"] - seeds["hand"]).tolist() == pytest.approx(seeds["gain"].tolist())


def test_bad_input_is_a_line(tmp_path, capsys):
    words = ["--out", str(tmp_path / "out")]
    assert "unknown task of the study 'mri'" in refused(capsys, [*words, "--task", "mri"], run=entry)
    line = refused(capsys, [*words, "--images", "nowhere/", "--task", "denoising(huber)"], run=entry)
    assert "no folder 'nowhere/'" in line
    assert not list(tmp_path.rglob("*.md"))


@pytest.mark.parametrize("modality", [PICTURES[1], PICTURES[2]])
def test_no_picture_is_empty_or_black(modality, tmp_path, monkeypatch):
    monkeypatch.setattr("bench.studies.modality_pictures.learn", lambda problem: None)
    found = picture(modality, 32)
    low, high = modality.low, modality.high
    for image in (found.truth, found.found):
        windowed = ((image - low) / (high - low)).clamp(0, 1)
        assert float(windowed.std()) > 0.1
    assert (found.sinogram is None) == ("tomography" not in modality.call)
    assert found.after > found.before
    files = draw([found], tmp_path)
    assert {file.name for file in files} >= {"modalities.png"}
