"""The floor does the same work as the solver it is held against, and the pairing cancels a drift."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from bench.config.matrix import parse_solver, parse_task
from bench.execution.time_budget import Budget
from bench.execution.timing_run import run_timings
from bench.measurement.training import parameters, training_step
from bench.records.store import Store
from bench.tasks import loss
from bench.timing import launch
from bench.timing import test_step as timing
from bench.timing.bare_loop import StepCounts, bare_step
from bench.timing.conftest import default_jobs
from bench.timing.test_step import paired_ratios, spin
from bench.utils.provenance import ROOT, gpu_state, provenance
from solvers import Anderson, Solution, SolveReport
from solvers.conformance import CountedMap
from tests.helpers.problems import small_problem
from tests.resilience.corpus import a_record
from tests.resilience.runs import members


@pytest.mark.parametrize(
    "text",
    [
        "unrolled(7)",
        "checkpointed(7, 3)",
        "jfb(9)",
        "restarted_jfb(4, 3)",
        "neumann(12, 9)",
        "deq(1e-11)",
        "implicit(anderson(1e-11), gmres(1e-11))",
        "certified(1e-8)",
        "deepinv_jfb(5)",
        "deepinv_deq(40, 20)",
        "torchdeq_ift(40, 20)",
        "torchdeq_phantom(5, 3)",
    ],
)
def test_the_floor_makes_the_same_gradient_with_the_same_counts(text):
    task = parse_task("deblurring(huber)")
    problem = small_problem(task)
    batch = problem.train
    solution, _ = training_step(parse_solver(text), problem, batch)
    wanted = [p.grad.clone() for p in parameters(problem)]
    problem.operator.zero_grad()
    counted = CountedMap(problem.bind(batch))
    bare_step(counted, batch.x0, lambda x: loss(x, batch.truth), StepCounts.of(solution))
    assert counted.applications == solution.applications
    assert counted.vjps == solution.vjps
    # An accelerated solver makes the same number of steps, but better ones.
    tolerance = 1.0 if "1e-11" in text or "certified" in text or "deq" in text else 1e-13
    for p, grad in zip(parameters(problem), wanted, strict=True):
        assert (p.grad - grad).norm() <= tolerance * grad.norm()


def test_the_floor_counts_what_was_made_on_a_share_of_the_batch_as_that_share():
    done = Solution(
        torch.zeros(1),
        SolveReport(10, active_fraction=0.5),
        3,
        [SolveReport(8, active_fraction=0.3), SolveReport(1)],
    )
    assert StepCounts.of(done) == StepCounts(untaped=5, taped_applications=3, adjoint=3)  # 2.4 + 1
    again = Solution(torch.zeros(1), SolveReport(10), 1, [SolveReport(8)], [0.25, 0.25, 0.5])
    assert StepCounts.of(again) == StepCounts(untaped=10, taped_applications=1, adjoint=8, recomputed=1)


class Weighed:
    """Counts samples, whoever applies the map to however many of them, and products likewise."""

    def __init__(self, T, counts=None):
        self.T, self.counts = T, counts if counts is not None else {"applications": 0, "products": 0}

    def __call__(self, x):
        self.counts["applications"] += len(x)  # first: what is made again stops where nothing more is wanted
        y = self.T(x)
        if y.grad_fn is not None:
            y.grad_fn.register_prehook(partial(self._pulled, len(x)))
        return y

    def _pulled(self, samples, cotangents):
        self.counts["products"] += samples

    def select(self, index):
        return Weighed(self.T.select(index), self.counts)


@pytest.mark.parametrize(
    "text",
    [
        "jfb(9)",
        "checkpointed(7, 3)",
        "deq(1e-06)",
        "implicit(picard(1e-06), picard(1e-06))",
        "implicit(nesterov(1e-06), gmres(1e-06))",
        "implicit(anderson(1e-06), cg(1e-06))",
    ],
)
@pytest.mark.misuse(
    "samples of a batch that converge at different depths",
    "right: what is done on a part of the batch counts as that part, in tables, floors and trainings",
)
def test_counts_are_of_whole_batches_and_the_same_everywhere(text):
    """One sample begins where it settles, so that it is left out early on."""
    problem = small_problem("deblurring(huber)", 3)
    batch = problem.train
    start = problem.start(batch).clone()
    with torch.no_grad():
        start[:2] = Anderson(1e-12, 2000)(problem.bind(batch), start).x[:2]
    T = Weighed(problem.bind(batch))
    solution = parse_solver(text)(T, start)
    problem.loss(solution.x, batch).backward()
    assert solution.evaluations == pytest.approx(T.counts["applications"] / 3, rel=1e-12)
    assert solution.products == pytest.approx(T.counts["products"] / 3, rel=1e-12)
    assert solution.work == solution.evaluations + solution.products
    if "1e-06" in text:
        assert solution.work < solution.applications + solution.vjps, "nobody was left out"
    floor = Weighed(problem.bind(batch))
    bare_step(floor, start, lambda x: problem.loss(x, batch), StepCounts.of(solution))
    assert floor.counts["applications"] / 3 == pytest.approx(solution.evaluations, abs=1)
    assert floor.counts["products"] / 3 == pytest.approx(solution.products, abs=0.5)


def test_a_timing_carries_its_threads_and_the_state_of_its_gpu(tiny_run):
    timings = [r for r in Store(tiny_run).records() if r.kind == "cost"]
    assert timings
    for record in timings:
        assert record.provenance["threads"] == record.settings["threads"] == 1
        assert record.provenance["gpu"] is None
        assert "gpu" not in record.values


def test_the_state_of_a_gpu_is_read_by_its_uuid_and_what_the_driver_refuses_is_null(monkeypatch):
    calls = []
    nvml = SimpleNamespace(
        NVML_CLOCK_SM=1,
        NVML_CLOCK_MEM=2,
        NVML_TEMPERATURE_GPU=0,
        nvmlInit=lambda: calls.append("init"),
        nvmlShutdown=lambda: calls.append("shutdown"),
        nvmlDeviceGetHandleByUUID=lambda uuid: calls.append(uuid),
        nvmlSystemGetDriverVersion=lambda: "580.1",
        nvmlDeviceGetClockInfo=lambda card, which: {1: 1980, 2: 3201}[which],
        nvmlDeviceGetPowerUsage=lambda card: 345_600,
        nvmlDeviceGetEnforcedPowerLimit=lambda card: 700_000,
        nvmlDeviceGetPerformanceState=lambda card: 0,
        nvmlDeviceGetTemperature=lambda card, which: 51,
        nvmlDeviceGetCurrentClocksThrottleReasons=lambda card: 0,
    )
    device = torch.device("cuda")
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(uuid="1234"))
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    found = gpu_state(device)
    assert found is not None
    assert (found["driver"], found["sm_mhz"], found["memory_mhz"]) == ("580.1", 1980, 3201)
    assert (found["watts"], found["limit_watts"], found["performance_state"]) == (345.6, 700.0, 0)
    assert calls == ["init", "GPU-1234", "shutdown"]
    nvml.nvmlDeviceGetPowerUsage = lambda card: 1 / 0
    assert gpu_state(device) == found | {"watts": None}
    nvml.nvmlDeviceGetHandleByUUID = lambda uuid: 1 / 0
    assert gpu_state(device) is None
    assert calls[-1] == "shutdown"
    monkeypatch.setitem(sys.modules, "pynvml", None)  # not installed
    assert gpu_state(device) is None
    assert gpu_state(torch.device("cpu")) is None


def test_the_card_of_a_gpu_is_told(monkeypatch):
    found = SimpleNamespace(major=9, minor=0, multi_processor_count=132, total_memory=2**37)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: found)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "a card")
    told = provenance(torch.device("cuda"))
    assert told["device"] == "a card"
    assert told["card"] == {
        "capability": "9.0",
        "multiprocessors": 132,
        "memory_bytes": 2**37,
        "cudnn": torch.backends.cudnn.version(),
    }
    assert "card" not in provenance(torch.device("cpu"))


def test_a_device_is_kept_busy_for_as_long_as_it_is_asked():
    begin = time.perf_counter()
    spin(torch.device("cpu"), 0.05)
    assert time.perf_counter() - begin >= 0.05


TIMES_FOR_EVER = """
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from bench.timing.conftest import default_jobs
from bench.timing.launch import measure_costs

(job, *_) = default_jobs()
timing = job.profile.timing.model_copy(update={"rounds": 1_000_000, "seconds": 600.0})
for _ in measure_costs([replace(job, profile=job.profile.model_copy(update={"timing": timing}))]):
    pass
"""


def is_timing(pid: int) -> bool:
    """Whether a process is the pytest that times."""
    try:
        return b"exit_with_parent" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:  # it has ended
        return False


@pytest.mark.process
def test_a_timing_ends_with_its_runner_however_that_ends():
    runner = subprocess.Popen([sys.executable, "-c", TIMES_FOR_EVER], start_new_session=True)
    try:
        end = time.monotonic() + 60
        # Not any second process: git is asked for the commit before.
        while not any(map(is_timing, members(runner.pid))) and time.monotonic() < end:
            time.sleep(0.1)
        time.sleep(3)  # imports
        assert any(map(is_timing, members(runner.pid)))
        runner.kill()
        runner.wait()
        end = time.monotonic() + 10
        while members(runner.pid) and time.monotonic() < end:
            time.sleep(0.1)
        assert members(runner.pid) == []
    finally:
        with suppress(ProcessLookupError):
            os.killpg(runner.pid, signal.SIGKILL)
        runner.wait()


def starved(solver, problem, batch):
    raise RuntimeError("CUDA error: out of memory")


@pytest.mark.misuse("a timing that runs out of memory", "right: it is a record of that, and the others go on")
def test_a_timing_without_memory_says_so(tmp_path, monkeypatch):
    (job, *_), report = default_jobs(), tmp_path / "report"
    monkeypatch.setattr(timing, "training_step", starved)
    asked = SimpleNamespace(config=SimpleNamespace(getoption=lambda name: report))
    timing.test_step(None, job, asked)
    assert json.loads(report.read_text()) == {
        "key": job.key,
        "gpu": None,
        "status": "oom",
        "reason": "RuntimeError: CUDA error: out of memory",
    }
    report.unlink()
    monkeypatch.setattr(timing, "training_step", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        timing.test_step(None, job, asked)
    assert not report.exists()


def test_a_timing_finds_what_its_runner_was_given(monkeypatch):
    """Packages may lie in a folder of their own, as on a machine without a network."""
    monkeypatch.setenv("PYTHONPATH", "/mine")
    assert launch._path() == os.pathsep.join([str(ROOT), "/mine"])
    monkeypatch.delenv("PYTHONPATH")
    assert launch._path() == str(ROOT)


def test_a_thousand_timings_hold_a_hundred_files_open(tmp_path, monkeypatch):
    store, held, batches = Store(tmp_path), [], []
    (tmp_path / "locks").mkdir()
    (tmp_path / "rows").mkdir()

    @contextmanager
    def counted(file, **how):
        held.append(file)
        yield True
        held.remove(file)

    def measured(jobs, end):
        batches.append(len(jobs))
        assert len(held) == len(jobs) + 1  # and the machine
        return iter(replace(a_record(), key=job.key) for job in jobs)

    monkeypatch.setattr("bench.execution.timing_run.file_lock", counted)
    monkeypatch.setattr("bench.timing.measure_costs", measured)
    jobs = [SimpleNamespace(key=f"{i:020x}") for i in range(250)]
    assert [record.key for record in run_timings(jobs, store, Budget())] == [job.key for job in jobs]
    assert batches == [100, 100, 50]


def test_a_drift_of_the_machine_cancels():
    times = [1.0 + 0.1 * i for i in range(11)]  # a machine that slows down by 10 % a measurement
    ratios = paired_ratios([1.5 * t for t in times[1::2]], times[0::2])
    assert ratios == pytest.approx([1.5] * 5)
