"""The learning table: what is counted, when a row has learned, resuming, and the command."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import replace

import pandas as pd
import pytest
import torch

from bench.__main__ import entry
from bench.external import deepinv_anderson
from bench.measurement.training import parameters
from bench.operators import douglas_rachford, forward_backward, peaceman_rachford
from bench.studies.learning import study
from bench.studies.learning.exact import ExactLoss
from bench.studies.learning.figure import COLOURS, coloured_rows, learning_figure, short_label
from bench.studies.learning.measure import Learned, measure
from bench.studies.learning.report import learning_markdown
from bench.studies.learning.row import Row
from bench.studies.learning.rows import REFERENCE, all_rows
from bench.studies.learning.starts import started
from bench.studies.learning.study import Plan, learning_study
from bench.studies.learning.table import (
    Measured,
    reached,
    reference_gaps,
    step_frame,
    summary_frame,
)
from bench.studies.objective import objective_of
from bench.tasks import build_problem
from bench.tasks.images import Layout
from solvers import Anderson, Solver, TruncatedBackprop, jfb, restarted_jfb
from solvers.optimisers import LBFGS, Adam, Evaluator
from tests.helpers.problems import packaged_images, task_by
from tests.helpers.tensors import F64

TASK = "deblurring(huber)"
LAYOUT = Layout(32, 1, 1)
FAST = Row("test", peaceman_rachford(), restarted_jfb(5, 1), LBFGS(), True, 8)
SLOW = Row("test", forward_backward(), jfb(3), Adam(lr=1e-4), False, 3)
SHORT = replace(REFERENCE, steps=4)


def problem(row=SLOW):
    task = replace(task_by(TASK), splitting=row.splitting)
    return build_problem(task, packaged_images(), LAYOUT, 0, dtype=F64)


@pytest.fixture
def exact():
    return ExactLoss(task_by(TASK), packaged_images(), LAYOUT, 0)


def done(row, exact):
    return measure(row, task_by(TASK), packaged_images(), LAYOUT, 0, exact)


def plan(rows=(FAST, SLOW), seeds=1, tasks=(TASK,)):
    return Plan([task_by(task) for task in tasks], rows, SHORT, packaged_images(), LAYOUT, seeds)


def test_every_application_and_product_counts(exact):
    learned = done(replace(SLOW, solver=restarted_jfb(5, 1), steps=4), exact)
    assert learned.products == [15, 30, 45, 60, 75]
    assert learned.evaluations == [1, 2, 3, 4, 5]
    assert learned.ended == "steps"
    assert all(b >= a > 0 for a, b in itertools.pairwise(learned.seconds))
    assert len(learned.losses) == 5
    assert len(set(learned.losses)) == 5


def test_products_of_another_library_count(exact):
    learned = done(replace(SLOW, solver=deepinv_anderson(20, 5), steps=2), exact)
    assert learned.products[0] > 25
    assert learned.products == [learned.products[0] * k for k in (1, 2, 3)]


def test_rejected_trials_count(exact):
    learned = done(replace(FAST, optimiser=LBFGS(first=100.0)), exact)
    assert learned.evaluations[1] > 2
    # Ten applications a trial, and five products for each that is accepted.
    assert [10 * count + 5 * k for k, count in enumerate(learned.evaluations, 1)] == learned.products


def test_no_step_begins_when_the_budget_is_spent(exact):
    learned = done(replace(SLOW, solver=restarted_jfb(5, 1), steps=50, products=31), exact)
    assert learned.products == [15, 30, 45]
    assert learned.ended == "budget"


def test_a_warm_row_starts_each_solve_at_the_last_solution():
    losses = {}
    for warm in (False, True):
        F = objective_of(problem())
        evaluator, solver, theta = Evaluator(F), started(jfb(3), F, warm), F.theta()
        losses[warm] = [evaluator.evaluate(theta, solver).loss for _ in range(100)]
    assert len(set(losses[False])) == 1
    first, last = losses[True][0], losses[True][-1]
    assert abs(losses[True][-2] - last) < 1e-3 * abs(first - last)


def test_the_tape_is_measured_and_costs_the_row_nothing(exact):
    few, many = (done(replace(SLOW, solver=restarted_jfb(K, 1), steps=1), exact) for K in (2, 8))
    assert 2 * few.tape < many.tape
    assert few.products == [6, 12]


@pytest.mark.parametrize("splitting", [forward_backward(), douglas_rachford()], ids=lambda s: s.label)
def test_the_exact_loss_is_that_of_every_operator(exact, splitting):
    there = problem(replace(SLOW, splitting=splitting))
    theta = torch.cat([p.detach().flatten() for p in parameters(there)])
    with torch.no_grad():
        x = Anderson(1e-12, 5000)(there.bind(there.train), there.start(there.train)).x
        expected = float(there.loss(x, there.train))
    assert abs(exact(theta) - expected) < 1e-6 * expected


def broken():
    def nothing(T, x0):
        return Anderson(1e-3)(lambda x: T(x) * math.nan, x0)

    return Solver("broken", nothing, TruncatedBackprop(1))


@pytest.mark.misuse(
    "a row of the learning table whose loss is not finite", "right: the row ends there, and never learns"
)
def test_a_row_that_is_not_finite_ends(exact):
    learned = done(replace(SLOW, solver=broken()), exact)
    assert learned.ended == "not finite"
    assert len(learned.losses) == 1


def made(row, losses, seed=0):
    count = len(losses)
    products = [10.0 * k for k in range(count)]
    return Measured(
        row,
        TASK,
        seed,
        Learned(losses, products, [0.5 * p for p in products], [*range(count)], 2**20, "steps"),
    )


def test_a_row_has_learned_at_the_first_step_below_a_share():
    frame = step_frame([made(SHORT, [2.0, 1.0]), made(FAST, [2.0, 1.5, 1.1, 1.2, 1.005, 1.0009])])
    own = frame[frame["row"] == FAST.label]
    assert own["gap"].tolist() == pytest.approx([1, 0.5, 0.1, 0.2, 0.005, 0.0009])
    assert [reached(own, share, "products") for share in (0.5, 0.89, 0.99, 0.999)] == [10, 20, 40, 50]
    assert reached(own, 0.99, "seconds") == 20
    assert math.isnan(reached(own, 0.9999, "products"))
    assert reference_gaps(frame, SHORT) == {TASK: 0.0}


def test_the_best_loss_of_any_row_is_the_end_of_the_gain():
    frame = step_frame([made(SHORT, [2.0, 1.5]), made(FAST, [2.0, 1.0]), made(SLOW, [2.0, math.nan])])
    assert reference_gaps(frame, SHORT) == {TASK: 0.5}
    assert math.isnan(reached(frame[frame["row"] == SLOW.label], 0.5, "products"))


def test_a_mean_is_over_seeds_that_all_get_there():
    frame = step_frame(
        [
            made(SHORT, [2.0, 1.0]),
            made(FAST, [2.0, 1.05, 1.0]),
            made(SLOW, [2.0, 1.9]),
            made(SHORT, [3.0, 2.0], 1),
            made(FAST, [3.0, 2.5, 2.02], 1),
            made(SLOW, [3.0, 2.9], 1),
        ]
    )
    summary = summary_frame(frame[frame["row"] != SHORT.label])
    fast, slow = summary.to_dict("records")
    assert (fast["products_90"], fast["products_90_least"], fast["products_90_most"]) == (15, 10, 20)
    assert math.isnan(fast["products_99"])
    assert (fast["reached_99"], slow["reached_90"]) == (1, 0)
    assert fast["gap"] == pytest.approx(0.02)
    text = learning_markdown(summary, {TASK: 0.0}, "")
    assert "15 (10–20)" in text
    assert "never on 1 of 2" in text
    assert "| never " in text.replace("  ", " ").replace("  ", " ")


def test_the_best_row_of_each_source_and_optimiser_is_coloured():
    slower, faster = replace(SLOW, source="a"), replace(SLOW, source="a", warm=True)
    other = replace(SLOW, source="b", optimiser=LBFGS(finer=(restarted_jfb(2, 0), jfb(3))))
    frame = step_frame(
        [made(slower, [2.0, 1.5, 1.0]), made(faster, [2.0, 1.0]), made(other, [2.0, 1.9])],
    )
    rows = coloured_rows(frame)
    assert rows == [faster.label, other.label]
    assert short_label(frame, other.label).endswith("LBFGS(finer=…), cold")
    legend = [text.get_text() for text in learning_figure(frame).legends[0].get_texts()]
    assert legend == [*(short_label(frame, row) for row in rows), "other rows, in the table"]


def test_there_are_no_more_colours_than_can_be_told_apart():
    frame = step_frame([made(replace(SLOW, source=f"{k}", steps=k + 1), [2.0, 1.0]) for k in range(14)])
    frame["row"] += frame["source"]
    assert len(coloured_rows(frame)) == COLOURS


def test_a_study_is_measured_once(tmp_path, monkeypatch):
    told = []
    files = learning_study(plan(), tmp_path, told.append)
    assert len(told) == 3
    names = {"learning.md", "steps.csv", "steps.parquet", "summary.csv", "summary.parquet", "learning.png"}
    assert names <= {file.name for file in files}
    assert all(file.is_file() for file in files)
    text = (tmp_path / "learning.md").read_text()
    assert "never" in text
    summary = pd.read_parquet(tmp_path / "summary.parquet")
    assert set(summary["row"]) == {FAST.label, SLOW.label}
    assert summary["reached_90"].tolist() == [1, 0]

    def again(*arguments):
        raise AssertionError("measured again")

    monkeypatch.setattr(study, "measure", again)
    learning_study(plan(), tmp_path)
    assert (tmp_path / "learning.md").read_text() == text
    with pytest.raises(AssertionError, match="measured again"):
        learning_study(plan((replace(SLOW, steps=2),)), tmp_path)


@pytest.mark.misuse("a damaged file of a measured row", "right: the row is measured again")
def test_a_damaged_row_is_measured_again(tmp_path):
    learning_study(plan((SLOW,)), tmp_path)
    file = next(
        f for f in (tmp_path / "measured").iterdir() if json.loads(f.read_text())["row"] == SLOW.label
    )
    whole = json.loads(file.read_text())["learned"]
    file.write_text(file.read_text()[:100])
    told = []
    learning_study(plan((SLOW,)), tmp_path, told.append)
    assert len(told) == 1
    assert json.loads(file.read_text())["learned"]["losses"] == whole["losses"]


def test_a_stopped_study_goes_on_where_it_ended(tmp_path):
    def stop(line):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        learning_study(plan(), tmp_path, stop)
    told = []
    learning_study(plan(), tmp_path, told.append)
    assert len(told) == 2


def test_rows_have_labels_and_settings_of_their_own():
    rows = [REFERENCE, *all_rows()]
    assert len({row.label for row in rows}) == len({row.identity for row in rows}) == len(rows)
    assert {row.splitting.same_equilibrium for row in rows} == {True}
    assert rows[1].label == "forward_backward · restarted_jfb(10, 10) · Adam(lr=0.15) · cold"


def test_the_command_writes_the_table(tmp_path, capsys):
    code = entry(
        [
            *("learning", "--out", str(tmp_path), "--task", TASK, "--crop", "32", "--crops", "1"),
            *("--seeds", "1", "--steps", "2", "--only", "LBFGS · cold", "--only", "jfb(40)"),
        ]
    )
    assert code == 0
    printed = capsys.readouterr().out.split()
    assert str(tmp_path / "learning.md") in printed
    assert len(pd.read_csv(tmp_path / "summary.csv")) == 2


@pytest.mark.misuse(
    "a learning table of rows or tasks that do not exist", "refused: exit code 2 and one line"
)
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--only", "sgd"], "no row has 'sgd' in its label"),
        (["--task", "deblurring(nothing)"], "nothing"),
        (["--task", "deblurring(tv)"], "tv"),
        (["--task", "deblurring(dncnn)"], "convex"),
        (["--images", "/nowhere"], "/nowhere"),
        (["--seeds", "0"], "--seeds"),
        (["--crop", "16"], "too small"),
        (["--task", "denoising(drunet(layers=2))"], "no equilibrium"),
    ],
)
def test_bad_input_is_one_line(tmp_path, capsys, arguments, said):
    assert entry(["learning", "--out", str(tmp_path / "out"), *arguments]) == 2
    error = capsys.readouterr().err.strip()
    assert said in error
    assert "Traceback" not in error
    assert not (tmp_path / "out").exists()
