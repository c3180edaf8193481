"""Learning from batches: what is counted, where solves start, the table, and the command."""

from __future__ import annotations

import json
import math
import statistics
from dataclasses import replace

import pytest
import torch

from bench.studies.learning.exact import ExactLoss
from bench.studies.minibatches import study
from bench.studies.minibatches.__main__ import entry
from bench.studies.minibatches.measure import Curve, PartsOfData, measure, steps_of
from bench.studies.minibatches.report import left, minibatch_markdown
from bench.studies.minibatches.row import ADAM, KRYLOV, ROWS, Row, Starts
from bench.studies.minibatches.study import TASKS, Plan, minibatch_study
from bench.tasks import build_problem
from bench.tasks.images import Layout
from bench.utils.provenance import ROOT
from solvers import restarted_jfb
from solvers.optimisers import LBFGS
from tests.helpers.problems import packaged_images, task_by
from tests.helpers.tensors import F64

TASK = "deblurring(huber)"
LAYOUT = Layout(32, 4, 1)
JFB = Row(restarted_jfb(5, 1), Starts.COLD, ADAM)


@pytest.fixture(scope="module")
def exact():
    return ExactLoss(task_by(TASK), packaged_images(), LAYOUT, 0)


def learn(row, exact, batch=2, epochs=2):
    return measure(row, task_by(TASK), packaged_images(), LAYOUT, batch, epochs, 0, exact)


def parts(row, index):
    problem = build_problem(task_by(TASK), packaged_images(), LAYOUT, 0, dtype=F64)
    return PartsOfData(problem, row, torch.tensor(index))


def test_products_of_a_batch_count_as_its_share(exact):
    """Five layers and one restart take 15 applications and products, whatever part of the crops they are made on."""
    for batch, whole in ((2, False), (1, False), (3, False), (2, True)):
        curve = learn(replace(JFB, whole=whole), exact, batch)
        assert curve.products == pytest.approx([0, 15, 30])
        assert len(curve.losses) == 3


def test_losses_are_those_of_all_crops_and_fall(exact):
    curve = learn(Row(KRYLOV, Starts.BOTH, ADAM), exact, epochs=4)
    start = parts(JFB, [0]).objective().theta()
    assert curve.losses[0] == pytest.approx(exact(start), rel=1e-6)
    assert curve.losses[-1] < curve.losses[0]


def test_rejected_trials_count(exact):
    row = Row(restarted_jfb(5, 1), Starts.COLD, LBFGS(first=1e6), whole=True)
    assert learn(row, exact).products[-1] > 30


def test_starts_are_those_of_the_row():
    """Two visits of the same crops, and between them one of others."""
    products = {}
    for starts in Starts:
        data = parts(Row(KRYLOV, starts, replace(ADAM, lr=1e-6)), [0, 1])
        steps = steps_of(data)
        spent = []
        for index in ([0, 1], [2, 3], [0, 1]):
            data.index = torch.tensor(index)
            spent.append(next(steps)[1])
        products[starts] = spent
    cold, states, both = (products[starts] for starts in Starts)
    assert cold[2] == cold[0]
    assert cold[:2] == states[:2] == both[:2]
    assert both[2] < states[2] < cold[2]


def test_an_optimiser_that_sees_no_way_on_begins_anew():
    data = parts(Row(KRYLOV, Starts.BOTH, LBFGS(trials=1, first=1e6)), [0, 1])
    steps = steps_of(data)
    thetas = [next(steps)[0] for _ in range(4)]
    assert all(bool(theta.isfinite().all()) for theta in thetas)


def test_what_is_left_is_told_by_the_best_of_any_row():
    a = [Curve([3.0, 2.0, 1.0], [0, 1, 2]), Curve([5.0, 3.0, math.nan], [0, 1, 2])]
    b = [Curve([3.0, 2.5, 1.5], [0, 2, 4]), Curve([5.0, 4.0, 1.0], [0, 2, 4])]
    first, second = left([a, b])
    assert first[0] == [1, 0.5, 0]
    assert second == [[1, 0.75, 0.25], [1, 0.75, 0]]
    assert math.isnan(first[1][2])
    text = minibatch_markdown({TASK: [(ROWS[0], a), (ROWS[-1], b)]}, "a setting")
    assert "not finite" in text
    assert "12.5 % (0.0–25.0)" in text
    assert "all crops" in text


def test_docs_say_what_the_reference_holds():
    rows = json.loads((ROOT / "results/reference/minibatches-cpu/curves.json").read_text(encoding="utf-8"))[
        "rows"
    ]
    text = " ".join(
        (ROOT / "docs" / "choosing.md").read_text(encoding="utf-8").split("**Mini-batches.**")[1].split()
    )

    def products(task, solver, starts, epoch=None):
        label = f"batches · Adam · {solver} · {starts}"
        runs = [row["products"] for row in rows if row["task"] == task and row["row"] == label]
        assert len(runs) == 3
        return statistics.fmean(p[-1] if epoch is None else p[epoch] - p[epoch - 1] for p in runs)

    for task in TASKS:
        for solver in (KRYLOV.label, "estimated(0.01)"):
            cold, warm = (products(task, solver, starts.value) for starts in (Starts.COLD, Starts.STATES))
            assert f"from {cold:.0f} to {warm:.0f}" in text
        cold, warm = (products(task, KRYLOV.label, s.value, 6) for s in (Starts.COLD, Starts.STATES))
        assert f"{cold:.0f} against {warm:.0f}" in text


def test_rows_are_different():
    assert len({row.label for row in ROWS}) == len(ROWS)


def test_a_study_measures_each_row_on_each_task_and_seed(tmp_path):
    told = []
    plan = Plan([task_by(TASK)], packaged_images(), Layout(32, 2, 1), 1, 1, 2, (ROWS[0], ROWS[-1]))
    table, curves = minibatch_study(plan, tmp_path, told.append)
    assert len(told) == 2
    assert "2 crops of 32×32" in table.read_text()
    rows = json.loads(curves.read_text())["rows"]
    assert [row["seed"] for row in rows] == [0, 1, 0, 1]
    assert all(len(row["losses"]) == 2 for row in rows)


def test_the_command_writes_the_table(tmp_path, capsys, monkeypatch):
    """Of curves that are made up."""
    monkeypatch.setattr(study, "measure", lambda *_: Curve([2.0, 1.0], [0.0, 7.0]))
    words = ["--crops", "2", "--batch", "1", "--crop", "32", "--epochs", "1", "--seeds", "1"]
    assert entry(["--out", str(tmp_path / "out"), *words]) == 0
    printed = capsys.readouterr().out.split()
    assert printed == [str(tmp_path / "out" / name) for name in ("minibatches.md", "curves.json")]
    text = (tmp_path / "out" / "minibatches.md").read_text()
    assert text.count("`restarted_jfb(10, 10)`") == 4


@pytest.mark.parametrize(
    ("words", "said"),
    [(["--seeds", "0"], "--seeds"), (["--crop", "16"], "too small"), (["--batch", "x"], "--batch")],
)
def test_bad_input_is_one_line(tmp_path, capsys, words, said):
    assert entry(["--out", str(tmp_path / "out"), *words]) == 2
    error = capsys.readouterr().err.strip()
    assert said in error
    assert "Traceback" not in error
