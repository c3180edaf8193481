"""Seconds of cells that have not run are estimated from similar finished cells, and from nothing else."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from bench.__main__ import entry
from bench.config.matrix import load_profile
from bench.planning.observed_times import ObservedTimes, group_of, group_of_record, record_seconds
from bench.planning.profile_times import (
    finished_records,
    planned_cells,
    task_table,
    unmeasured,
    wall,
    workers_table,
)
from bench.records.record import Record
from bench.records.store import Store
from bench.utils.errors import UserError
from tests.bench.conftest import TINY

SETTINGS = {
    "dtype": "float64",
    "images": {"crop": 32, "train": 2, "test": 2, "mirror": False, "validation": 1},
    "training": {"steps": 3, "learning_rate": 0.2, "batch": 1},
}


def finished(task: str, solver: str, seconds: float, seed: int = 0, **changes) -> Record:
    record = Record("k", "quality", task, solver, "", seed, "ok", "", SETTINGS, {}, {"seconds": seconds})
    return replace(record, **changes)


def estimate(records: list[Record], task: str, solver: str) -> float:
    times = ObservedTimes()
    for record in records:
        times.add(record)
    group = group_of_record(finished(task, solver, 1.0))
    assert group is not None
    return times.estimate(group, solver)


def test_a_cell_takes_what_its_other_seeds_took():
    records = [finished("a", "s", t) for t in (1.0, 2.0, 9.0)] + [finished("a", "t", 100.0)]
    assert estimate(records, "a", "s") == 2.0


def test_a_solver_takes_longer_than_others_where_it_did_elsewhere():
    records = [finished("a", s, t) for s, t in (("s", 1.0), ("t", 2.0), ("u", 8.0))]
    records += [finished("b", s, t) for s, t in (("s", 10.0), ("t", 20.0))]
    assert estimate(records, "b", "u") == 15.0 * 8 / 2
    assert estimate(records, "b", "v") == 15.0


def test_another_task_or_size_or_device_time_says_nothing():
    record = finished("a", "s", 1.0)
    larger = SETTINGS | {"images": SETTINGS["images"] | {"crop": 64}}
    assert math.isnan(estimate([], "a", "s"))
    for other in (
        finished("b", "s", 1.0),
        replace(record, settings=larger),
        replace(record, settings=SETTINGS | {"dtype": "float32"}),
        replace(record, kind="cost", values={"seconds": [1.0]}),
        replace(record, status="diverged"),
        replace(record, provenance={}),
        replace(record, settings={}),
        replace(record, settings={"images": {}, "training": {}}),
    ):
        assert math.isnan(estimate([other], "a", "s"))


def test_workers_take_the_next_cell_and_timings_come_last():
    assert wall([4, 1, 1, 1, 1], [2, 3], 1) == 13
    assert wall([4, 1, 1, 1, 1], [2, 3], 2) == 9
    assert wall([1, 1, 1, 1, 4], [], 2) == 6
    assert wall([1, 2], [5], 8) == 7
    assert wall([], [], 3) == 0


def test_a_table_of_what_a_profile_took(tiny_run, tmp_path):
    file = tmp_path / "tiny.toml"
    file.write_text(TINY)
    records = finished_records([tiny_run])
    assert len(records) == 18
    planned = planned_cells(load_profile(str(file)), records)
    assert len(planned) == 18
    assert unmeasured(planned) == []
    quality = sum(cell.seconds for cell in planned if cell.group[0] == "quality")
    spent = sum(record_seconds(record) for record in records if record.kind == "quality")
    assert 0.5 < quality / spent < 2
    table = task_table(planned, records)
    assert list(table["task"]) == 2 * ["denoising(huber) · 32² × 1", "denoising(l1) · 32² × 1"]
    assert list(table["cells"]) == 2 * ["6 quality"] + 2 * ["3 cost"]
    assert list(table["measured"]) == [6, 6, 3, 3]
    assert [bool(memory) for memory in table["memory"]] == [True, True, False, False]
    times = workers_table(planned, [1, 2], "cpu")
    assert list(times["workers"]) == [1, 2]
    assert times["busy"][0] == "100%"
    assert "GPU hours" in workers_table(planned, [1], "cuda")
    file.write_text(TINY.replace("crop = 32", "crop = 64"))
    larger = planned_cells(load_profile(str(file)), records)
    assert unmeasured(larger) == ["denoising(huber) · 64² × 1", "denoising(l1) · 64² × 1"]
    assert set(task_table(larger, records)["time"]) == {"unknown"}


def test_a_record_says_what_its_cell_took(tiny_run):
    profile = load_profile(str(tiny_run.parent / "tiny.toml"))
    for record in Store(tiny_run).records():
        assert group_of_record(record) == group_of(record.kind, record.task, profile)
        assert 0 < record_seconds(record) < 600
        if record.kind == "quality":
            assert record.provenance["peak_rss"] > record.values["peak_bytes"]
            assert record.provenance["peak_gpu"] is None


def test_the_command_prints_tables_and_says_what_was_never_measured(tiny_run, capsys):
    assert entry(["plan", "paper", "--from", str(tiny_run), "--workers", "3"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert (
        "no cell of this size was measured, so these are not counted: denoising_colour(l1) · 256² × 4" in text
    )
    assert entry(["plan", "paper-small", "--workers", "2"]) == 0  # from the committed records
    assert "unknown" not in capsys.readouterr().out


def test_bad_folders_are_one_line(tiny_run, tmp_path, capsys):
    assert entry(["plan", "quick", "--from", str(tmp_path)]) == 2
    assert "holds no run" in capsys.readouterr().err
    record = next(iter(Store(tiny_run).records()))
    other = replace(record, key=record.key[::-1], settings=record.settings | {"device": "cuda"})
    mixed = tmp_path / "mixed"
    (mixed / "rows").mkdir(parents=True)
    manifest = (tiny_run / "manifest.json").read_text()
    (mixed / "manifest.json").write_text(manifest)
    for one in (record, other):
        Store(mixed).write(one)
    (mixed / "manifest.json").write_text(
        manifest.replace(record.key, f'{record.key}", "{record.key[::-1]}', 1)
    )
    with pytest.raises(UserError, match="cpu and cuda"):
        finished_records([mixed])
