"""Processes of cells: what crashes, hangs or runs out of memory is a row, and the others go on."""

from __future__ import annotations

import functools
import os
import resource
import signal
import sys
import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch

from bench.execution.child_process import FinalAnswer
from bench.execution.process_pool import ProcessPool
from bench.measurement.measure import CellResult
from bench.measurement.memory import out_of_memory
from bench.records.store import Store
from tests.resilience.runs import ask, begin, members
from tests.resilience.stops import stops

pytestmark = pytest.mark.process


@dataclass(frozen=True)
class Odd:
    """Does what its task says, and notes each time in a file."""

    notes: Path

    def __call__(self, task):
        with (self.notes / task).open("a") as file:
            file.write("x")
        times = (self.notes / task).stat().st_size
        if task == "crashes" or (task == "crashes once" and times == 1):
            os.kill(os.getpid(), signal.SIGSEGV)
        if task == "leaves":
            os._exit(7)
        if task == "hangs":
            time.sleep(60)
        return task.upper()


@pytest.mark.parametrize("most", [1, 4])
def test_what_crashes_or_hangs_hurts_no_other(most, tmp_path):
    tasks = ["fine", "crashes", "hangs", "crashes once", "leaves", "fine too"]
    with ProcessPool(Odd(tmp_path), 2, limit=3.0, max_tasks_per_child=most) as pool:
        found = {ended.task: ended for ended in pool(tasks)}
    assert {task: found[task].answer for task in tasks} == {
        "fine": "FINE", "crashes": None, "hangs": None, "crashes once": "CRASHES ONCE", "leaves": None,
        "fine too": "FINE TOO",
    }  # fmt: skip
    assert found["crashes"].reason == "its process was ended by SIGSEGV, twice"
    assert found["leaves"].reason == "its process ended with exit code 7, twice"
    assert found["hangs"].timed_out
    assert {task: (tmp_path / task).stat().st_size for task in tasks} == {
        "fine": 1, "crashes": 2, "hangs": 1, "crashes once": 2, "leaves": 2, "fine too": 1,
    }  # fmt: skip


@dataclass
class Counts:
    """Tells its process and how many tasks that has done; ends it where its task says so."""

    notes: Path
    done: int = 0

    def __call__(self, task):
        self.done += 1
        with (self.notes / task).open("a") as file:
            file.write("x")
        if task == "dies once" and (self.notes / task).stat().st_size == 1:
            os._exit(3)
        said = os.getpid(), self.done
        return FinalAnswer(said) if task == "last" else said


def test_a_process_does_as_many_tasks_as_it_may_and_none_after_its_last(tmp_path):
    tasks = ["a", "b", "c", "d", "last", "e"]
    with ProcessPool(Counts(tmp_path), 1, max_tasks_per_child=3) as pool:
        found = [(ended.task, *ended.answer) for ended in pool(tasks)]
        assert not pool.running
    assert [task for task, *_ in found] == tasks
    assert [done for *_, done in found] == [1, 2, 3, 1, 2, 1]
    assert len({process for _, process, _ in found}) == 3


def test_a_task_that_is_run_again_has_a_process_that_did_no_other(tmp_path):
    with ProcessPool(Counts(tmp_path), 1, max_tasks_per_child=9) as pool:
        found = {ended.task: ended.answer for ended in pool(["a", "dies once", "b", "c"])}
    assert {task: done for task, (_, done) in found.items()} == {"a": 1, "b": 1, "c": 2, "dies once": 1}
    assert len({process for process, _ in found.values()}) == 3


def test_a_process_that_dies_between_two_tasks_is_no_tasks_fault(tmp_path):
    with ProcessPool(Counts(tmp_path), 1, max_tasks_per_child=9) as pool:
        seen = []
        for ended in pool("abc"):
            seen.append(ended.answer)
            os.kill(ended.answer[0], signal.SIGKILL)
            for run in pool.running:
                run.process.join()
    assert [done for _, done in seen] == [1, 1, 1]
    assert [(tmp_path / task).stat().st_size for task in "abc"] == [1, 1, 1]


@pytest.mark.parametrize("most", [1, 9])
def test_a_pool_that_is_left_leaves_nothing_running(most, tmp_path):
    with ProcessPool(Odd(tmp_path), 2, max_tasks_per_child=most) as pool:
        next(pool(["fine", "hangs"]))
        running = [run.process for run in pool.running]
    assert running
    assert not any(process.is_alive() for process in running)


def odd_measure(notes, usual, cell, profile, images, device, checkpoint=None, alone=False, references=None):
    """In place of ``measure``: what happens depends on the solver and the task."""
    label = f"{cell.task.label} {cell.solver.label} {cell.seed}"
    with (notes / "attempts").open("a") as file:
        file.write(f"{label} {alone}\n")
    match label:
        case "denoising(l1) unrolled(1) 0":
            raise ValueError("of no\nuse")
        case "denoising(l1) unrolled(1) 1":
            return CellResult("nan", "not finite")
        case "denoising(l1) jfb(2) 0":
            return CellResult("diverged", "too large")
        case "denoising(l1) jfb(2) 1" if not alone:
            raise torch.OutOfMemoryError("once")
        case "denoising(l1) neumann(1, 1) 0":
            raise torch.OutOfMemoryError("twice")
        case "denoising(l1) neumann(1, 1) 1":
            resource.setrlimit(resource.RLIMIT_AS, (2**33, 2**33))
            torch.empty(2**34, dtype=torch.float64)
        case "deblurring(l1) unrolled(1) 0":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "deblurring(l1) unrolled(1) 1":
            time.sleep(60)
        case "deblurring(l1) jfb(2) 0":
            sys.exit(3)
        case _:
            pass
    return usual(cell, profile, images, device, checkpoint, alone)


def make_odd(notes):
    from bench.execution import cell_process

    cell_process.measure = functools.partial(odd_measure, notes, cell_process.measure)


@pytest.mark.parametrize("in_a_row", [1, 16])
def test_failures_are_rows_and_run_again_next_time(in_a_row, tmp_path):
    asked = ask(tmp_path, in_a_row=in_a_row)
    asked.profile.write_text("timeout = 4.0\n" + asked.profile.read_text())
    assert begin(replace(asked, prepare=functools.partial(make_odd, tmp_path))).end() == 1
    rows = {
        (r.task, r.solver, r.seed): (r.status, r.reason)
        for r in Store(asked.out).records()
        if r.kind == "quality"
    }
    assert len(rows) == 16
    assert rows["denoising(l1)", "unrolled(1)", 0] == ("error", "ValueError: of no use")
    assert rows["denoising(l1)", "unrolled(1)", 1] == ("nan", "not finite")
    assert rows["denoising(l1)", "jfb(2)", 0] == ("diverged", "too large")
    assert rows["denoising(l1)", "jfb(2)", 1][0] == "ok"
    assert rows["denoising(l1)", "neumann(1, 1)", 0] == ("oom", "OutOfMemoryError: twice")
    status, reason = rows["denoising(l1)", "neumann(1, 1)", 1]
    assert status == "oom"
    assert "allocate memory" in reason
    assert rows["deblurring(l1)", "unrolled(1)", 0] == ("killed", "its process was ended by SIGSEGV, twice")
    assert rows["deblurring(l1)", "unrolled(1)", 1] == ("timeout", "not done after 4 s")
    assert rows["deblurring(l1)", "jfb(2)", 0] == ("killed", "its process ended with exit code 3, twice")
    assert Counter(status for status, _ in rows.values())["ok"] == 8
    before = Counter(
        r.provenance.get("cells_before") for r in Store(asked.out).records() if r.kind == "quality"
    )
    assert before[None] == 3, "killed, or ended for its time"
    assert before[0] == 13 if in_a_row == 1 else 2 < before[0] < 13, "a process ends after a cell that failed"
    attempts = Counter((tmp_path / "attempts").read_text().splitlines())
    assert attempts["denoising(l1) jfb(2) 1 True"] == 1, "again, one image after another"
    assert attempts["denoising(l1) jfb(2) 0 False"] == 1
    assert attempts["deblurring(l1) unrolled(1) 0 False"] == 2, "a killed cell is tried once more"
    assert attempts["deblurring(l1) unrolled(1) 1 False"] == 1
    said = asked.noted("stderr")
    assert said[-1] == "6 cells failed: the tables list them at the end; they run again next time"
    assert any("1 nan" in line and "1 diverged" in line and "2 oom" in line for line in said)
    assert begin(asked).end() == 0
    again = Counter(r.status for r in Store(asked.out).records())
    assert again == {"ok": 22, "nan": 1, "diverged": 1}, "only what an accident stopped"


def test_a_cell_ends_with_a_run_that_is_killed(tmp_path):
    """Otherwise nobody would end it if it hangs, and it would keep its cell from every later run."""
    asked = ask(tmp_path)
    run = begin(replace(asked, prepare=functools.partial(make_hang, tmp_path)))
    while not (tmp_path / "hung").exists():
        assert run.wait(0.01) is None
    assert len(members(run.pid)) >= 2
    run.signal(signal.SIGKILL, whole=False)
    run.end()
    assert run.gone(5.0) is not None


def hang(notes, *_):
    (notes / "hung").touch()
    time.sleep(60)


def make_hang(notes):
    from bench.execution import cell_process

    cell_process.measure = functools.partial(hang, notes)


@pytest.mark.slow
@pytest.mark.parametrize("in_a_row", [1, 16])
def test_ctrl_c_and_sigterm_are_one_line_each(in_a_row, tmp_path):
    for stop in stops(1, tmp_path, resume=False, in_a_row=in_a_row):
        assert stop.clean(), stop


def test_what_is_out_of_memory():
    assert out_of_memory(MemoryError())
    assert out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory"))
    for said in (
        "CUDA error: out of memory",
        "cuFFT error: CUFFT_ALLOC_FAILED",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
    ):
        assert out_of_memory(RuntimeError(said))
    assert not out_of_memory(RuntimeError("no luck"))


def one_more(number):
    return number + 1


def test_a_long_name_for_temporary_files_is_no_matter(tmp_path, monkeypatch):
    deep = tmp_path / ("a" * 60) / ("b" * 60)
    deep.mkdir(parents=True)
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    with ProcessPool(one_more, 1) as pool:
        assert [ended.answer for ended in pool([1])] == [2]
