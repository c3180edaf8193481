"""Trajectories under gradient errors: the bound, its exact constants, the schedule in training, and the command."""

from __future__ import annotations

import itertools
import json
import math

import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.__main__ import entry
from bench.config.matrix import Cell, load_profile, parse_solver, parse_task
from bench.config.profile_schema import ScheduleTable, TrainingTable
from bench.measurement import training
from bench.measurement.training import parameters, train
from bench.records.record import key_of
from bench.records.record import settings as settings_of
from bench.studies.trajectory.descent import (
    DescentMethod,
    certified_error,
    curvatures,
    deq_trajectory,
    descend,
    secants,
    step_size,
    trace_rows,
)
from bench.studies.trajectory.report import descent_summary
from bench.utils.errors import UserError
from solvers import LipschitzConstants, SmoothLoss, ToleranceSchedule, certified, jfb, restarted_jfb
from solvers.optimisers import BilevelObjective
from tests.helpers.problems import learned_values, small_problem
from theory_checks.claims.c12_learning import bilevel_objective as quadratic
from theory_checks.instances import synthetic

SOLVERS = (certified(1e-2), restarted_jfb(2, 3), jfb(4))


class Known:
    """An affine case, which knows its constants."""

    def __init__(self, case):
        self.case = case

    def __call__(self, x):
        return self.case.T(x[0])[None]

    def regularity(self):
        size = float(torch.linalg.matrix_norm(self.case.T.V, 2))
        return LipschitzConstants(self.case.L, 0.0, 0.0, lambda x: size, parameters=[self.case.T.theta])


def affine(seed, L=0.8):
    """``F(θ) = q/2 ‖Aθ − s‖²`` with fewer parameters than unknowns: strongly convex, with exact m and G."""
    case = synthetic.affine(6, 3, L, seed)
    loss = SmoothLoss(lambda x: case.loss.q / 2 * (x[0] - case.loss.target).square().sum(), case.loss.q)
    F = BilevelObjective(lambda: Known(case), loss, case.x0[None], [case.T.theta])
    return F, quadratic(case.T, case)


@settings(max_examples=4)
@given(
    st.integers(0, 10_000),
    st.sampled_from((0.3, 1.0)),
    st.sampled_from(SOLVERS),
    st.booleans(),
    st.booleans(),
)
def test_the_bound_is_rigorous_where_the_constants_are_exact(seed, fraction, solver, scheduled, warm):
    F, exact = affine(seed)
    eta = fraction / exact.G
    schedule = ToleranceSchedule(0.5, 1e-3) if scheduled else None
    begin = F.theta()
    points, trace = deq_trajectory(F, eta, 8), descend(F, DescentMethod("", solver, schedule, warm), eta, 8)
    assert torch.equal(F.theta(), begin)
    assert trace.rigorous
    actual = [step.actual for step in trace.steps]
    for point in (*points, *trace.points):
        assert point.loss == pytest.approx(exact(point.theta), rel=1e-9)
        torch.testing.assert_close(point.gradient, exact.gradient(point.theta), rtol=1e-7, atol=1e-9)
    assert all(a <= c * (1 + 1e-6) + 1e-11 for a, c in zip(actual, trace.errors, strict=True))
    rate = max(abs(1 - eta * exact.m), abs(1 - eta * exact.G))
    distances = [float((a.theta - b.theta).norm()) for a, b in zip(trace.points, points, strict=True)]
    floor = 1e-9 * max(float(p.theta.norm()) for p in points)
    for rho in (rate, 1.0):
        limits = certified_error(eta, [rho] * 8, trace.errors)
        assert all(d <= b + floor for d, b in zip(distances, limits, strict=True))
    measured = [rho for rho in secants(eta, trace.points, points) if not math.isnan(rho)]
    assert all(rho <= rate * (1 + 1e-6) for rho in measured)
    assert all(b <= exact.G * (1 + 1e-4) for b in curvatures(points))
    # One step is exact: d_1 = ηe_0.
    assert distances[1] == pytest.approx(eta * actual[0], abs=floor)


def test_the_bound_by_hand():
    assert certified_error(0.5, [0.5, 0.5, 0.5], [4.0, 2.0, 8.0]) == [0.0, 2.0, 2.0, 5.0]
    assert certified_error(2.0, [9.0, 3.0], [1.0, 0.0]) == [0.0, 2.0, 6.0]
    assert certified_error(1.0, [], []) == [0.0]


def test_the_step_size_is_the_inverse_of_the_curvature():
    F, exact = affine(3)
    eta, G = step_size(F, 5)
    assert pytest.approx(exact.G, rel=1e-2) == G
    assert eta == 1 / G


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What the command leaves for a small problem."""
    out = tmp_path_factory.mktemp("trajectory")
    words = ["trajectory", "--task", "denoising(huber)", "--out", str(out), "--steps", "6", "--crop", "32"]
    words += ["--crops", "1", "--first", "0.3", "--last", "0.001", "--warm", "--eta", "1400"]
    chosen = ("certified(0.001)", "restarted_jfb(5, 5)")
    assert entry([*words, *(w for text in chosen for w in ("--solver", text))]) == 0
    return out


def test_no_row_is_above_its_bound(found):
    table = pd.read_csv(found / "rows.csv")
    steps = table[table["step"] > 0]
    assert len(table) == 7 * 6
    assert (steps["distance"] <= steps["bound_measured"]).all()
    assert (steps["distance"] > 0).all()
    before = table.dropna(subset=["actual"])
    assert (before["actual"] <= before["certified"]).all()
    assert before["rigorous"].all()
    ours = before[~before["course"].str.startswith("restarted")]
    assert (ours["relative"] <= ours["rtol"].fillna(0.001)).all()
    # The recursion behind the bound, with the raw numbers.
    eta = json.loads((found / "rows.json").read_text())["eta"]
    for _, part in table.groupby("course"):
        for name, rhos in (("bound_convex", [1.0] * 7), ("bound_measured", part["secant"].fillna(1.0))):
            limits = certified_error(eta, list(rhos)[:6], list(part["certified"])[:6])
            assert list(part[name]) == pytest.approx(limits, rel=1e-9)
        assert part["work"].is_monotonic_increasing
        assert (part["exact_loss"].diff().dropna() < 0).all()


def test_the_schedule_spends_less_and_warm_starts_less_still(found):
    ends = descent_summary(pd.read_csv(found / "rows.csv")).set_index("course")["products"]
    loose, tight = "schedule 0.3 to 0.001", "certified(0.001)"
    assert ends[loose] < ends[tight]
    # Six loose steps are few products, and each adjoint solve pays one to measure itself, warm or not.
    assert ends[f"{loose}, warm"] <= 1.05 * ends[loose]
    assert ends[f"{tight}, warm"] < ends[tight]
    assert ends["restarted_jfb(5, 5), warm"] == ends["restarted_jfb(5, 5)"] == 6 * (30 + 5)


@pytest.mark.figures
def test_the_files_are_there_and_the_same_again(found, tmp_path):
    assert sorted(file.name for file in found.iterdir()) == [
        "rows.csv",
        "rows.json",
        "trajectory.md",
        "trajectory.pdf",
        "trajectory.png",
        "trajectory.svg",
    ]
    given = json.loads((found / "rows.json").read_text())
    assert given["task"] == "denoising(huber)"
    assert given["provenance"]["fingerprint"]
    assert len(given["rows"]) == 42
    text = (found / "trajectory.md").read_text()
    assert "| schedule 0.3 to 0.001, warm |" in " ".join(text.split())


def test_bad_input_is_one_line(tmp_path, capsys):
    words = [
        "trajectory",
        "--task",
        "denoising(huber)",
        "--out",
        str(tmp_path),
        "--steps",
        "2",
        "--crop",
        "32",
    ]
    for further, complaint in (
        (["--first", "0.1", "--last", "0.2"], "last must be at most first"),
        (["--solver", "deepinv_deq(10, 5)"], "external solver"),
        (["--task", "denoising(dncnn(layers=3))"], "layers"),
    ):
        assert entry([*words, *further]) == 2
        (line,) = capsys.readouterr().err.strip().splitlines()[-1:]
        assert line.startswith("error: ")
        assert complaint in line


def test_where_there_is_no_reference_it_says_so():
    theta = torch.ones(2, dtype=torch.float64, requires_grad=True)
    F = BilevelObjective(
        lambda: lambda x: torch.nan * x + theta,
        lambda x: x.square().sum(),
        torch.ones_like(theta)[None],
        [theta],
    )
    with pytest.raises(UserError, match="no reference gradient along the trajectory"):
        list(trace_rows(F, [DescentMethod("", jfb(2))], 0.1, 2))


CELL = Cell(parse_task("deblurring(huber)"), certified(1e-3), 0)
SCHEDULE = ScheduleTable(first=0.3, last=1e-3)


def table(**changes):
    return TrainingTable(**({"steps": 6, "learning_rate": 0.1, "batch": 1, "checkpoint": 2} | changes))


def problem():
    return small_problem(CELL.task, 2)


def test_a_scheduled_training_that_is_killed_goes_on_as_if_it_had_not_been(tmp_path, monkeypatch):
    scheduled, file = table(schedule=SCHEDULE, warm_start=True), tmp_path / "state.pt"
    whole, broken, again = problem(), problem(), problem()
    wanted = train(CELL, whole, scheduled, None)
    step, calls = training.training_step, itertools.count(1)

    def killed(*arguments):
        if next(calls) == 6:
            raise KeyboardInterrupt
        return step(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(training, "training_step", killed)
        with pytest.raises(KeyboardInterrupt):
            train(CELL, broken, scheduled, file)
    assert file.is_file()
    found = train(CELL, again, scheduled, file)
    assert found.values() == wanted.values()
    assert found.work == wanted.work
    assert torch.equal(learned_values(again), learned_values(whole))


def test_a_schedule_is_kept_to_recorded_and_cheaper(monkeypatch):
    seen, step = [], training.training_step

    def watched(solver, found, *rest):
        solution, value = step(solver, found, *rest)
        grads = torch.cat([p.grad.flatten() for p in parameters(found)])
        seen.append((solver.backward_mode.rtol, float(grads.norm())))
        return solution, value

    fixed = train(CELL, problem(), table(), None)
    monkeypatch.setattr(training, "training_step", watched)
    scheduled = train(CELL, problem(), table(schedule=SCHEDULE, clip=1e-4), None)
    # What the steps were really taken with, and the norms before clipping.
    assert scheduled.rtols == [rtol for rtol, _ in seen]
    assert scheduled.sizes == pytest.approx([size for _, size in seen])
    assert scheduled.sizes[0] > 2e-4
    values = scheduled.values()
    assert list(values) == ["losses", "sizes", "rtols", "errors"]
    assert list(fixed.values()) == ["losses", "sizes", "errors"]
    schedule = SCHEDULE.schedule()
    assert values["rtols"] == [schedule.rtol(values["sizes"][:t]) for t in range(6)]
    assert values["rtols"][-1] < values["rtols"][0] == 0.3
    assert all(0 < e <= rtol for e, rtol in zip(values["errors"], values["rtols"], strict=True))
    assert max(values["errors"]) > 1e-2 > 1e-3 >= max(fixed.errors)
    assert scheduled.work < fixed.work


def test_other_solvers_do_not_mind_a_schedule():
    cell = Cell(CELL.task, parse_solver("restarted_jfb(3, 2)"), 0)
    scheduled, fixed = (train(cell, problem(), table(schedule=s), None) for s in (SCHEDULE, None))
    assert scheduled.values() == fixed.values() == {"losses": fixed.losses}


def test_a_schedule_has_a_key_of_its_own(tiny_file):
    def key(line):
        file = tiny_file.with_name(f"{len(line)}.toml")
        text = tiny_file.read_text().replace("learning_rate = 0.2\n", f"learning_rate = 0.2\n{line}\n")
        file.write_text(text)
        profile = load_profile(str(file))
        return key_of(CELL, settings_of(profile, "", torch.device("cpu"), "quality"), "quality")

    lines = ("", "schedule = {}", "schedule = { first = 0.2 }", "schedule = { last = 0.001 }")
    assert len({key(line) for line in lines}) == 4


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("schedule = { first = 0.1, last = 0.2 }", "last must be at most first"),
        ("schedule = { frist = 0.1 }", "did you mean first"),
        ("schedule = { first = 1.0 }", "training.schedule.first"),
    ],
)
def test_a_bad_schedule_is_one_line(tiny_file, capsys, line, complaint):
    tiny_file.write_text(
        tiny_file.read_text().replace("learning_rate = 0.2\n", f"learning_rate = 0.2\n{line}\n")
    )
    assert entry(["run", str(tiny_file), "--out", str(tiny_file.with_name("out"))]) == 2
    (text,) = capsys.readouterr().err.strip().splitlines()
    assert complaint in text
