"""The memory study: steps in processes of their own, the line through them, and what it predicts."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.operators import peaceman_rachford
from bench.penalties import huber
from bench.studies.largest_image import memory, whole_volume
from bench.studies.largest_image.depth import errors_on, smallest_depth
from bench.studies.largest_image.isolated import isolated_step, relative_error
from bench.studies.largest_image.prediction import Line, fitted, miss
from bench.studies.largest_image.step import Step, take
from bench.tasks import deblurring_volume
from bench.utils.errors import UserError
from solvers import unrolled
from tests.helpers.commands import refused

STEP = Step((8, 8), 1.0, 1.0, 1000, 900, 3.0, 3.0, True, 0.5, (1.0, 2.0))


@given(
    base=st.floats(0, 1e9), each=st.floats(1, 1e4), limit=st.floats(1e6, 1e11), axes=st.sampled_from([2, 3])
)
def test_the_largest_side_fits_and_the_next_does_not(base, each, limit, axes):
    line = Line(base, each)
    side = line.largest_side(limit, axes)
    assert side % 8 == 0
    assert side == 0 or line.at(side**axes) <= limit * (1 + 1e-9)
    assert line.at((side + 8) ** axes) > limit * (1 - 1e-9)


def steps_of(peak, sides=(64, 128, 256)):
    return [replace(STEP, sides=(side, side), peak=peak(side * side)) for side in sides]


def test_a_line_is_found_and_a_bend_is_a_miss():
    line = fitted(steps_of(lambda n: 10**6 + 50 * n))
    assert line.each == pytest.approx(50)
    assert line.base == pytest.approx(10**6)
    assert miss(steps_of(lambda n: 10**6 + 50 * n)) == pytest.approx(0, abs=1e-12)
    assert miss(steps_of(lambda n: 10**6 + 50 * n + n * n // 10**3)) < -0.1
    assert np.isnan(miss(steps_of(lambda n: n, (64, 128))))


def test_a_process_of_its_own_has_the_gradient_of_this_one():
    arguments = ("deblurring(huber)", "forward_backward", "unrolled(3)", (64, 64))
    there, here = isolated_step(*arguments), take(*arguments, None, False, 1)
    assert relative_error(there, here) < 1e-5
    assert there.sides == (64, 64)
    assert (there.applications, there.products) == (3, 3)
    assert 0 < there.step_peak <= there.peak


def test_a_task_of_other_axes_gets_one_clear_line():
    with pytest.raises(UserError, match=r"deblurring_volume\(huber\) takes 3 axes, not 2"):
        take("deblurring_volume(huber)", "forward_backward", "jfb(3)", (64, 64), None, False, 1)


@pytest.mark.parametrize(("rate", "depth"), [(0.5, 7), (0.9, 44), (0.001, 1)])
def test_the_smallest_depth_is_found(rate, depth):
    assert smallest_depth(lambda solver: rate**solver.backward_mode.steps, 0.01) == depth
    assert smallest_depth(lambda solver: 1.0, 0.01) is None


def test_errors_of_unrollings_fall():
    small = replace(huber(), wavelet="haar", levels=2)
    task = replace(deblurring_volume(small), splitting=peaceman_rachford())
    error = errors_on(task, (16, 16, 16))
    assert error(unrolled(40)) < 1e-2 < error(unrolled(2))


def test_sizes_end_at_the_limit():
    def step(side):
        return replace(STEP, sides=(side, side), peak=10**8 + 1000 * side**2)

    steps = []
    while (side := memory.sizes(steps, 2, 10**9, 10**9)) is not None:
        steps.append(step(side))
    assert [s.sides[0] for s in steps] == [256, 512, 944]
    assert memory.sizes(steps[:2], 2, 10**9, 600**2) == 600
    assert memory.sizes(steps[:2], 2, 2 * 10**8, 10**9) is None


def test_the_study_writes_and_goes_on(tmp_path, monkeypatch):
    taken = []

    def step(task, operator, solver, sides):
        taken.append((task, operator, solver, sides))
        each = 100 if "unrolled" in solver else 20
        return replace(STEP, sides=sides, peak=10**9 + each * int(np.prod(sides)))

    monkeypatch.setattr(memory, "isolated_step", step)
    monkeypatch.setattr(memory, "solvers_of", lambda *_: {"unrolled(9)": 0.009, "deq(0.001)": 0.001})
    assert memory.entry(["--out", str(tmp_path), "--limit", "3GiB", "--most", "100000000"]) == 0
    assert len(taken) == 2 * 2 * 2 * 3
    assert {file.name for file in tmp_path.iterdir()} >= {"memory.json", "memory.md", "memory.png"}
    table = (tmp_path / "memory.md").read_text()
    assert table.count("| `unrolled(9)` | `forward_backward` | 0.9 % | 3 + 3 | 100 |") == 2
    line = Line(10**9, 100)
    assert f"{line.largest_side(8 * 2**30, 3)}³" in table
    rows = json.loads((tmp_path / "memory.json").read_text())["rows"]
    assert len(rows) == 8
    taken.clear()
    assert memory.entry(["--out", str(tmp_path)]) == 0
    assert taken == []


def test_a_whole_volume_is_compared_with_its_reference(tmp_path, monkeypatch):
    def here(task, operator, solver, *, file, double=False, threads):
        return take(task, operator, solver, (), file, double, 1)

    monkeypatch.setattr(whole_volume, "isolated_step", here)
    rng = np.random.default_rng(0)
    np.save(tmp_path / "a.npy", rng.random((32, 37, 33)))
    arguments = [
        "--file",
        str(tmp_path / "a.npy"),
        "--out",
        str(tmp_path),
        "--solver",
        "restarted_jfb(10, 1)",
    ]
    assert whole_volume.entry(arguments) == 0
    record = json.loads((tmp_path / "whole_volume.json").read_text())
    assert record["reference"]["sides"] == [32, 40, 40]
    assert record["reference"]["converged"]
    assert record["steps"]["restarted_jfb(10, 1)"]["error"] < 0.05
    assert "# One gradient on a volume of 32×40×40" in (tmp_path / "whole_volume.md").read_text()


@pytest.mark.misuse("a volume that is not there", "refused: it names the file")
def test_a_missing_volume_is_one_line(tmp_path, capfd):
    arguments = ["--file", str(tmp_path / "none.nii"), "--out", str(tmp_path)]
    assert "none.nii" in refused(capfd, arguments, run=whole_volume.entry)
