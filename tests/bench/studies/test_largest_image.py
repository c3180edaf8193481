"""The largest image that fits: the search finds it, and a trial counts the bytes that a step takes."""

from __future__ import annotations

import json
import math
import time

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bench.__main__ import entry
from bench.config.matrix import parse_solver, parse_task
from bench.measurement.memory import peak_bytes
from bench.measurement.training import training_step
from bench.studies.largest_image import search as searching
from bench.studies.largest_image.search import Search, next_side, search_grid
from bench.studies.largest_image.study import to_markdown
from bench.studies.largest_image.trial import Trial, attempt, bytes_of, limit_on, synthetic_problem
from bench.utils.errors import UserError
from tests.helpers.commands import refused
from tests.helpers.problems import small_problem

CPU = torch.device("cpu")
WAVELETS, NETWORK = "deblurring_colour(l1)", "deblurring_colour(drunet)"


@given(
    grid=st.sampled_from([8, 64, 96]),
    base=st.floats(0, 1e6),
    each=st.floats(10, 1e4),
    bend=st.floats(0.8, 1.2),
    limit=st.integers(10**4, 10**9),
)
def test_the_search_finds_the_largest_multiple_that_fits(grid, base, each, bend, limit):
    """Bytes need not be proportional to pixels, only grow with them."""

    def peak(crop):
        return int(base + each * crop ** (2 * bend))

    trials, most = [], 2048
    while (crop := next_side(trials, grid, limit, most)) is not None:
        assert crop % grid == 0
        assert 0 < crop <= most
        assert crop not in {trial.crop for trial in trials}
        trials.append(Trial(crop, peak(crop) <= limit, peak(crop)))
    truth = [crop for crop in range(grid, most + 1, grid) if peak(crop) <= limit]
    assert max((trial.crop for trial in trials if trial.fits), default=None) == max(truth, default=None)


def test_bytes_in_proportion_to_pixels_take_three_trials():
    trials = []
    while (crop := next_side(trials, 64, 10**9)) is not None:
        trials.append(Trial(crop, 300 * crop**2 <= 10**9, 300 * crop**2))
    assert [trial.crop for trial in trials] == [64, 1792, 1856]


@pytest.mark.parametrize("solver", ["unrolled(4)", "neumann(3, 3)"])
def test_a_trial_counts_the_bytes_of_a_step_on_real_images(solver):
    task, solver = parse_task("deblurring(huber)"), parse_solver(solver)
    real = small_problem(task, size=64, dtype=torch.float32)
    with peak_bytes(CPU) as found:
        training_step(solver, real, real.train)
    problem = synthetic_problem(task, (64, 64), CPU)
    parts = [*problem.operator.parameters(), *problem.operator.buffers(), *problem.physics.buffers()]
    batch = problem.train
    held = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in parts}
    held |= {t.data_ptr(): t.nbytes for t in (batch.truth, batch.y, batch.x0)}
    trial = attempt(task, solver, 64, CPU, 10**9)
    assert trial.fits
    assert trial.seconds is not None
    assert trial.peak == found.count + sum(held.values())
    assert attempt(task, solver, 64, CPU, trial.peak).fits
    refused = attempt(task, solver, 64, CPU, trial.peak - 1)
    assert (refused.fits, refused.peak, refused.seconds) == (False, trial.peak, None)


def test_a_tape_costs_more_than_one_application_does():
    task = parse_task(WAVELETS)
    peaks = [attempt(task, parse_solver(s), 64, CPU, 10**9).peak for s in ("jfb(8)", "unrolled(8)")]
    assert peaks[1] > 2 * peaks[0]


def test_want_of_memory_is_too_large_and_other_errors_end_a_search(monkeypatch):
    task, solver = parse_task(WAVELETS), parse_solver("jfb(2)")

    def raises(error):
        def step(*given):
            raise error

        monkeypatch.setattr("bench.studies.largest_image.trial.training_step", step)

    raises(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"))
    assert attempt(task, solver, 64, CPU, 10**9) == Trial(64, False)
    raises(RuntimeError("index does not fit into 32 bits"))
    found = search_grid(task, solver, CPU, 10**9, 64, math.inf)
    assert found.reason == "64²: RuntimeError: index does not fit into 32 bits"
    assert not found.done
    assert "none" in to_markdown([found], 64)


def test_a_search_ends_with_the_time_and_says_so(monkeypatch):
    monkeypatch.setattr(searching, "attempt", lambda task, solver, crop, *rest: Trial(crop, True, crop, 0.5))
    task, solver = parse_task(WAVELETS), parse_solver("jfb(2)")
    found = search_grid(task, solver, CPU, 10**9, 64, time.monotonic() - 1)
    assert found == Search(task.label, solver.label)
    assert "the time was up" in to_markdown([found], 64)
    found = search_grid(task, solver, CPU, 10**12, 4096, math.inf)
    assert found.done
    assert "16384² (none larger was tried)" in to_markdown([found], 4096)


@pytest.mark.parametrize(
    ("text", "size"),
    [("256MiB", 2**28), ("1.5 GiB", 3 * 2**29), ("7KiB", 7 * 2**10), ("10B", 10)],
)
def test_sizes_are_read(text, size):
    assert bytes_of(text) == size


@pytest.mark.parametrize("text", ["256", "MiB", "-1MiB", "0MiB", "256MB", "nan GiB"])
@pytest.mark.misuse("--limit of no size (256, 0MiB, 256MB)", "refused: it says what a size is")
def test_what_is_no_size_is_one_line(text, tmp_path, capsys):
    out = tmp_path / "out"
    assert "is no size: give 256MiB or 78GiB" in refused(
        capsys, ["largest", "--out", str(out), "--device", "cpu", f"--limit={text}"]
    )
    assert not out.exists()


def test_on_a_cpu_a_limit_must_be_given():
    with pytest.raises(UserError, match="give --limit 256MiB"):
        limit_on(CPU, None)


def test_the_command_writes_a_table_and_every_trial(tmp_path, capsys):
    out = tmp_path / "out"
    words = ["largest", "--out", str(out), "--device", "cpu", "--limit", "1MiB", "--grid", "32"]
    words += ["--task", WAVELETS, "--task", NETWORK, "--solver", "jfb(2)", "--solver", "unrolled(8)"]
    assert entry(words) == 0
    assert capsys.readouterr().out.split() == [str(out / "largest.md"), str(out / "largest.json")]
    found = json.loads((out / "largest.json").read_text())
    assert (found["limit"], found["grid"], found["provenance"]["device"] != "") == (2**20, 32, True)
    assert [(s["task"], s["solver"]) for s in found["searches"]] == [
        (task, solver) for solver in ("jfb(2)", "unrolled(8)") for task in (WAVELETS, NETWORK)
    ]
    assert all(one["done"] for one in found["searches"])
    sizes = [max((t["crop"] for t in s["trials"] if t["fits"]), default=0) for s in found["searches"]]
    assert sizes[0] > sizes[2] > 0
    assert sizes[1] == sizes[3] == 0  # its weights alone are larger
    table = (out / "largest.md").read_text()
    assert f"| `{WAVELETS}` | `jfb(2)` | {sizes[0]}² |" in table


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_the_allocator_holds_to_the_limit():
    device = torch.device("cuda")
    try:
        limit = limit_on(device, "512MiB")
        found = search_grid(parse_task(WAVELETS), parse_solver("unrolled(10)"), device, limit, 64, math.inf)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, device)
    assert found.done
    assert {trial.fits for trial in found.trials} == {True, False}
    assert all(trial.peak is not None and trial.peak <= limit for trial in found.trials if trial.fits)


def test_the_largest_cube_is_found():
    task, axes = parse_task("deblurring_volume(huber)"), 3
    trial = attempt(task, parse_solver("jfb(2)"), 32, CPU, 10**9)
    assert trial.fits
    assert trial.peak > 5 * 4 * 32**3
    trials = []
    while (crop := next_side(trials, 8, 10**9, 1024, axes)) is not None:
        trials.append(Trial(crop, 300 * crop**3 <= 10**9, 300 * crop**3))
    assert [trial.crop for trial in trials] == [8, 144, 152]
    state = Search(task.label, "jfb(2)", axes, trials, done=True)
    assert "| 144³ | 854.3 | 300 |" in to_markdown([state], 8)
