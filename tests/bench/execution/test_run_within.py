"""A run within a time: what tells most first, nothing begun that cannot be finished, and nothing lost."""

from __future__ import annotations

import math
import time

import pytest
import torch

from bench.__main__ import entry
from bench.config.matrix import cells, load_profile, parse_solver
from bench.execution.preparation import plan_jobs
from bench.execution.process_pool import ProcessPool
from bench.execution.runner import run_profile
from bench.execution.time_budget import ROUND, SPARE, Budget, parse_seconds
from bench.execution.timing_run import run_timings
from bench.records.store import Store
from bench.tasks.images import find_images
from bench.timing.conftest import default_jobs
from bench.timing.launch import measure_costs
from bench.utils.errors import UserError
from bench.utils.file_locks import file_lock, machine_lock
from tests.helpers.commands import refused
from tests.helpers.profiles import TINY

CPU = torch.device("cpu")
SLOW = """
import time
from dataclasses import dataclass
from solvers import FixedPoint, SolveReport, Solver, TruncatedBackprop

@dataclass(frozen=True)
class Slow:
    seconds: float
    def __call__(self, T, x0):
        time.sleep(self.seconds)
        return FixedPoint(T(x0), SolveReport(1))

def slow(seconds):
    return Solver(f"slow({seconds:g})", Slow(seconds), TruncatedBackprop(1))
"""


def jobs_of(profile):
    return plan_jobs(list(zip(profile.parts(), cells(profile), strict=True)), find_images(), CPU)


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("8m", 480), ("1.5h", 5400), (" 2 m ", 120)])
def test_times_are_read(text, seconds):
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize("text", ["8", "m", "-8m", "0s", "8 minutes", "1h30m", "nan", "inf"])
@pytest.mark.misuse("--within of no time (8, 0s, 1h30m)", "refused: it says what a time is")
def test_what_is_no_time_is_one_line(text, tmp_path, capsys):
    out = tmp_path / "out"
    assert "is no time: give 90s, 8m or 1.5h" in refused(
        capsys, ["run", "smoke", "--out", str(out), f"--within={text}"]
    )
    assert not out.exists()


def test_the_time_is_that_of_one_machine(tmp_path, capsys):
    assert entry(["run", "smoke", "--out", str(tmp_path / "out"), "--within", "8m", "--workers", "1"]) == 2
    assert "--within and a cluster exclude each other" in capsys.readouterr().err


def test_without_a_limit_everything_is_one_round(tiny_file):
    quality, cost = jobs_of(load_profile(str(tiny_file)))
    budget = Budget()
    assert budget.rounds([*quality, *cost]) == [[*quality, *cost]]
    assert list(budget.affordable(quality)) == budget.affordable_in_a_row(quality) == quality
    assert math.isinf(budget.left())


def test_the_first_solvers_of_a_profile_come_first_with_their_timings(tmp_path):
    some = [f"unrolled({i})" for i in range(2, 9)]
    text = TINY.replace('["unrolled(2)", "restarted_jfb(2, 3)", "deq(1e-08)"]', str(some).replace("'", '"'))
    file = tmp_path / "many.toml"
    file.write_text(text.replace("seeds = [0, 1]", 'seeds = [0]\nfirst = ["unrolled(8)", "unrolled(3)"]'))
    profile = load_profile(str(file))
    quality, cost = jobs_of(profile)
    rounds = Budget(60.0, tuple(profile.first)).rounds([*quality, *cost])
    found = [list(dict.fromkeys(job.cell.solver.label for job in part)) for part in rounds]
    assert [set(part) for part in found] == [
        {"unrolled(8)", "unrolled(3)", "unrolled(2)", "unrolled(4)"},
        {"unrolled(5)", "unrolled(6)", "unrolled(7)"},
    ]
    assert len(found[0]) == ROUND
    assert sum(map(len, rounds)) == len(quality) + len(cost)
    assert {job.kind for job in rounds[0]} == {"quality", "cost"}


PARTS = """
[[blocks]]
tasks = ["denoising(l1)"]
solvers = ["unrolled(2)"]
images = { crop = 64, train = 2, test = 1 }
[[blocks]]
tasks = ["deblurring(l1)"]
solvers = ["unrolled(2)", "jfb(9)", "jfb(8)", "jfb(7)", "jfb(6)", "jfb(5)"]
"""


def rounds_of(profile):
    quality, cost = jobs_of(profile)
    rounds = Budget(60.0, tuple(parse_solver(text).label for text in profile.first)).rounds([*quality, *cost])
    assert sorted(job.key for some in rounds for job in some) == sorted(job.key for job in (*quality, *cost))
    return rounds


def test_parts_of_a_profile_come_as_they_are_written_and_none_alone_that_is_small(tmp_path):
    file = tmp_path / "parts.toml"
    file.write_text(TINY.replace("seeds = [0, 1]", 'seeds = [0]\nfirst = ["jfb(5)", "deq(1e-08)"]') + PARTS)
    rounds = rounds_of(load_profile(str(file)))
    found = [
        [f"{job.cell.solver.label} {job.profile.images.crop}" for job in part if job.kind == "quality"]
        for part in rounds
    ]
    # Six cells; the only one of the second part with four solvers of the third, those of first before the others.
    assert [sorted(part) for part in found] == [
        sorted(2 * ["unrolled(2) 32", "restarted_jfb(2, 3) 32", "deq(1e-08) 32"]),
        ["jfb(5) 32", "jfb(8) 32", "jfb(9) 32", "unrolled(2) 32", "unrolled(2) 64"],
        ["jfb(6) 32", "jfb(7) 32"],
    ]
    for some in rounds:
        assert {job.cell for job in some if job.kind == "cost"} == {
            job.cell for job in some if job.kind == "quality"
        }


def test_the_first_round_on_a_gpu_tries_every_way_to_apply_t():
    first, second, *rest = rounds_of(load_profile("gpu"))
    assert {job.profile.execution for job in first} == {"eager", "compiled", "graphed"}
    assert {job.profile.images.crop for job in first} == {64}
    assert {(job.profile.dtype, job.profile.images.crop) for job in second} == {("float64", 256)}
    pixels = [max(job.profile.images.crop**2 * job.profile.training.batch for job in some) for some in rest]
    assert pixels[-1] == max(pixels) == 32 * 1024**2


def test_the_rounds_of_the_paper_have_its_own_depth_first_and_networks_after_penalties():
    profile = load_profile("paper")
    rounds = rounds_of(profile)
    solvers = [{job.cell.solver.label for job in some} for some in rounds]
    key = {"restarted_jfb(10, 10)", "restarted_jfb(10, 0)", "restarted_jfb(1, 1)"}
    assert [some <= key for some in solvers] == 5 * [True] + 3 * [False]
    dear = [{"drunet" in job.cell.task.label for job in some} for some in rounds[:5]]
    assert dear == [{False}, {False}, {False}, {True}, {True}]
    learned = [{"learn_weights" in job.cell.task.label for job in some} for some in rounds[:5]]
    assert learned == [{False}, {False}, {False}, {False}, {True}]
    assert all(len(some) <= 18 for some in rounds[:5])


def test_a_first_solver_that_is_not_there_is_one_line(tmp_path):
    file = tmp_path / "bad.toml"
    file.write_text(TINY.replace("seeds = [0, 1]", 'seeds = [0]\nfirst = ["unrolled(9)"]'))
    with pytest.raises(UserError, match=r"unknown solver of 'first' in profile tiny 'unrolled\(9\)'"):
        load_profile(str(file))


def test_nothing_is_begun_that_cannot_be_finished(tiny_run):
    profile, store = load_profile(str(tiny_run.parent / "tiny.toml")), Store(tiny_run)
    quality, cost = jobs_of(profile)
    budget = Budget(3600.0)
    assert all(map(math.isnan, budget.predicted(quality)))
    for job in (*quality, *cost):
        budget.learn(store.read(job.key))
    seconds = budget.predicted(quality)
    assert 0 < min(seconds) <= max(seconds) < 600
    assert list(budget.affordable(quality)) == quality
    longest = SPARE * max(seconds)
    budget.end = time.monotonic() + longest / 2
    refused = {job.key for job, s in zip(quality, seconds, strict=True) if SPARE * s > longest / 2}
    assert refused
    assert refused.isdisjoint(job.key for job in budget.affordable(quality))
    in_all = SPARE * sum(budget.predicted(cost))
    budget.end = time.monotonic() + in_all / 2
    assert 0 < len(budget.affordable_in_a_row(cost)) < len(cost)
    budget.end = time.monotonic() - 1
    assert not list(budget.affordable(quality))
    assert not budget.affordable_in_a_row(cost)


def nap(seconds):
    time.sleep(seconds)
    return seconds


@pytest.mark.process
def test_a_pool_asks_for_a_task_when_it_has_a_process_for_it_and_ends_all_in_time():
    asked = []

    def tasks():
        for seconds in (0.0, 60.0, 61.0):
            asked.append((seconds, len(seen)))
            yield seconds

    seen = []
    with ProcessPool(nap, 1, end=time.monotonic() + 20) as pool:
        for ended in pool(tasks()):
            seen.append((ended.task, ended.answer, ended.timed_out))
            pool.end = min(pool.end, time.monotonic() + 1)
    assert seen == [(0.0, 0.0, False), (60.0, None, True), (61.0, None, True)]
    assert asked == [(0.0, 0), (60.0, 1), (61.0, 2)]


def test_timings_wait_for_what_others_compute_no_longer_than_there_is_time(tmp_path):
    (job, *_) = default_jobs()
    budget = Budget(0.2)
    begin = time.monotonic()
    with file_lock(machine_lock(), shared=True) as theirs:
        assert theirs
        assert list(run_timings([job], Store(tmp_path), budget)) == []
    assert 0.2 <= time.monotonic() - begin < 30


@pytest.mark.process
def test_a_timing_ends_with_the_time_and_leaves_no_record():
    (job, *_) = default_jobs()
    begin = time.monotonic()
    assert list(measure_costs([job], begin + 0.5)) == []
    assert time.monotonic() - begin < 60


@pytest.mark.process
@pytest.mark.usefixtures("without_figures")
def test_what_the_time_ends_runs_next_time(tmp_path, tiny_file, capsys):
    """A solver that takes its time: it is begun, since nothing is known of it, and ended; nothing is written of it."""
    file, out = tmp_path / "slow.py", tmp_path / "out"
    file.write_text(SLOW)
    profile = load_profile(str(tiny_file))
    options = {"device": CPU, "tasks": ["denoising(l1)"], "solvers": [f"{file}:slow(100)"]}
    begin = time.monotonic()
    outcome = run_profile(profile, out, within=4.0, jobs=2, **options)
    assert outcome == {"stored": 0, "left": 3}
    assert time.monotonic() - begin < 60
    assert not list(Store(out).records())
    plain = {"device": CPU, "tasks": ["denoising(l1)"], "solvers": ["unrolled(2)"]}
    assert run_profile(profile, out, **plain) == {"stored": 0, "ok": 3}
    words = ["run", str(tiny_file), "--out", str(out), "--device", "cpu", "--within", "1s"]
    capsys.readouterr()
    assert entry(words) == 0
    assert "cells are left after 1s: the same line goes on from there" in capsys.readouterr().err
    assert (out / "index.html").exists()
