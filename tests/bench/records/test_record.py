"""Records: one file each, whole or not at all; a finished cell is never run twice."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import pytest
import torch

from bench.analysis.tidy import tidy
from bench.config.matrix import cells, load_profile
from bench.config.profile_schema import RENAMED_KEYS, EquilibriumTable, TrainingTable, with_new_keys
from bench.execution.preparation import plan_jobs
from bench.execution.runner import run_profile
from bench.records.record import Record, key_of, settings
from bench.records.store import Manifest, Store, write_atomically
from bench.tasks.images import find_images
from bench.utils import provenance
from bench.utils.errors import UserError
from bench.utils.provenance import ROOT

RECORD = Record("k", "quality", "t", "s", "c", 0, "ok", "", {}, {"a": 1.0}, {})


def test_a_record_survives_the_file_and_is_json_that_anybody_reads(tmp_path):
    odd = replace(RECORD, values={"a": float("nan"), "b": [1.0, float("inf")], "c": "é"})
    text = odd.to_json()
    assert "\n" not in text
    assert json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))["values"] == {
        "a": None,
        "b": [1.0, None],
        "c": "é",
    }
    assert Record.from_json(RECORD.to_json()) == RECORD
    for broken in ("{}", "[]", "nonsense", text[:-3]):
        with pytest.raises(ValueError, match=r"."):
            Record.from_json(broken)


@pytest.mark.misuse(
    "a tree that was copied without its .git",
    "right: EQGRAD_COMMIT tells its commit, and without that it is unknown",
)
def test_the_commit_of_a_tree_without_git_can_be_told(tmp_path, monkeypatch):
    commit = provenance.commit.__wrapped__
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    assert commit() == ("unknown", True)
    monkeypatch.setenv("EQGRAD_COMMIT", "0123abc\n")
    assert commit() == ("0123abc", False)


def test_the_same_cell_at_two_sizes_is_two_records():
    def sized(crop, batch, train=8):
        return replace(
            RECORD, settings={"images": {"crop": crop, "train": train}, "training": {"batch": batch}}
        )

    several = [
        RECORD,
        sized(64, 1),
        sized(128, 1),
        sized(64, 2),
        sized(64, 2, train=2),
        sized(64, 3, train=2),
    ]
    assert [r.batch for r in several] == [0, 1, 1, 2, 2, 2]
    assert len({r.identity for r in several}) == 4
    assert (RECORD.crop, several[2].crop) == (0, 128)


def test_settings_of_an_old_record_are_read_under_the_new_keys():
    file = next(
        f
        for f in (ROOT / "results" / "reference" / "depths-cpu" / "rows").glob("*.json")
        if '"quality"' in f.read_text()
    )
    text = file.read_text()
    old, new = json.loads(text)["settings"], Record.from_json(text).settings
    assert set(new["equilibrium"]) == set(EquilibriumTable.model_fields)
    for name in ("rate", "network_rate", "look", "warm"):
        path = RENAMED_KEYS[f"training.{name}"].removeprefix("training.")
        assert new["training"][path] == old["training"][name]
    assert (new["equilibrium"]["max_applications"], new["execution"]) == (
        old["equilibrium"]["longest"],
        old["step"],
    )
    assert with_new_keys(new) == new
    # The checksum is that of the file, under the old keys.
    with pytest.raises(ValueError, match="checksum"):
        Record.from_json(text.replace('"longest"', '"max_applications"'))


def test_the_records_that_are_committed_load():
    """They were written before a profile had sizes, looks and warm starts."""
    records = list(Store(ROOT / "results" / "reference" / "depths-cpu").records())
    assert len(records) > 100
    assert {(r.crop, r.batch) for r in records} == {(64, 2), (48, 1)}
    assert len({r.identity for r in records}) == len(records)
    assert all(set(r.settings["training"]) == set(TrainingTable.model_fields) for r in records)
    assert all("execution" in r.settings and "step" not in r.settings for r in records)
    frame = tidy(records)
    assert list(frame["heading"]) == list(frame["task"])
    assert not frame["peer"].any()


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    file = tmp_path / "a.json"
    write_atomically(file, "old")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomically(file, "new")
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_the_first_finished_record_stays_and_an_error_is_replaced(tmp_path):
    store = Store(tmp_path)
    store.claim(Manifest("p", "", "i", "cpu", ["k"]))
    store.write(replace(RECORD, status="error"))
    assert not store.finished("k")
    store.write(RECORD)
    store.write(replace(RECORD, values={"a": 2.0}))
    assert store.read("k") == RECORD
    assert list(store.records()) == [RECORD]


def test_a_broken_record_counts_as_missing(tmp_path):
    store = Store(tmp_path)
    store.claim(Manifest("p", "", "i", "cpu", ["k"]))
    (store.rows / "k.json").write_text(RECORD.to_json()[:40])
    assert not store.finished("k")
    store.write(RECORD)
    assert store.finished("k")


def test_a_folder_belongs_to_one_run(tmp_path):
    store = Store(tmp_path / "out")
    mine = Manifest("quick", "", "scikit-image", "cpu", [])
    store.claim(mine)
    store.claim(replace(mine, cells=["a"]))
    for other in (
        replace(mine, profile="paper"),
        replace(mine, images="set14"),
        replace(mine, device="cuda"),
    ):
        with pytest.raises(UserError, match="choose another --out"):
            store.claim(other)
    assert store.manifest().cells == ["a"]


def test_a_useless_out_is_a_clear_line_and_nothing_is_written(tmp_path):
    mine = Manifest("quick", "", "scikit-image", "cpu", [])
    (tmp_path / "file").write_text("x")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("x")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "manifest.json").write_text("{")
    before = sorted(tmp_path.rglob("*"))
    for name, message in (("file", "is a file"), ("full", "holds other files"), ("broken", "is broken")):
        with pytest.raises(UserError, match=message):
            Store(tmp_path / name).claim(mine)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_key_changes_with_everything_that_decides_the_result(tiny_file, monkeypatch):
    profile = load_profile(str(tiny_file))
    ((one, *others),) = cells(profile)

    def key(cell=one, profile=profile, images="abc", device="cpu", kind="quality"):
        return key_of(cell, settings(profile, images, torch.device(device), kind), kind)

    training = profile.training.model_copy(update={"learning_rate": 0.3})
    keys = [
        key(),
        key(images="abd"),
        key(device="cuda") if torch.cuda.is_available() else "no gpu",
        key(kind="cost"),
        key(profile=profile.model_copy(update={"dtype": "float32"})),
        key(profile=profile.model_copy(update={"training": training})),
        *(key(other) for other in others),
    ]
    monkeypatch.setattr("bench.utils.provenance.fingerprint", lambda *_: "edited")
    keys.append(key())
    assert len(set(keys)) == len(keys)
    monkeypatch.undo()
    assert key() == keys[0]
    # How long is measured does not decide what a gradient is.
    timing = profile.timing.model_copy(update={"rounds": 7})
    assert key(profile=profile.model_copy(update={"timing": timing})) == keys[0]


def test_a_finished_run_measures_nothing(tiny_run, monkeypatch):
    monkeypatch.setattr(
        "bench.execution.runner._run_quality", lambda jobs, *_: jobs and pytest.fail("ran again")
    )
    monkeypatch.setattr(
        "bench.timing.measure_costs", lambda jobs, end: (jobs and pytest.fail("timed again")) or []
    )
    outcome = run_profile(
        load_profile(str(tiny_run.parent / "tiny.toml")), tiny_run, device=torch.device("cpu")
    )
    assert outcome == {"stored": 18}


@pytest.mark.process
def test_only_what_is_missing_runs(tiny_run, tmp_path):
    import shutil

    profile = load_profile(str(tiny_run.parent / "tiny.toml"))
    copy = tmp_path / "out"
    shutil.copytree(tiny_run, copy)
    quality, _ = plan_jobs([(profile, *cells(profile))], find_images(), torch.device("cpu"))
    lost = quality[3].key
    (copy / "rows" / f"{lost}.json").unlink()
    outcome = run_profile(profile, copy, device=torch.device("cpu"), jobs=1)
    assert outcome == {"stored": 17, "ok": 1}
    again, before = Store(copy).read(lost), Store(tiny_run).read(lost)
    assert again.values == before.values, "the same cell gave another result"


def test_stale_records_are_listed_and_kept(tiny_run, tmp_path):
    import shutil

    copy = tmp_path / "out"
    shutil.copytree(tiny_run, copy)
    old = replace(RECORD, key="0123456789abcdef0123")
    write_atomically(copy / "rows" / f"{old.key}.json", old.to_json())
    assert Store(copy).stale() == [old.key]
    assert old.key not in {r.key for r in Store(copy).records()}


def test_a_cell_that_raises_is_a_row_and_the_others_go_on(tiny_file, tmp_path, monkeypatch):
    from bench.execution import cell_process

    profile = load_profile(str(tiny_file))
    quality, _ = plan_jobs([(profile, *cells(profile))], find_images(), torch.device("cpu"))

    def explode(*_):
        raise RuntimeError("out of\nluck")

    monkeypatch.setattr(cell_process, "measure", explode)
    Store(tmp_path / "out").claim(Manifest("tiny", "", "i", "cpu", [quality[0].key]))
    record = cell_process.run_cell(quality[0], tmp_path / "out")
    assert (record.status, record.reason) == ("error", "RuntimeError: out of luck")
    assert Store(tmp_path / "out").read(quality[0].key) == record
    assert not Store(tmp_path / "out").finished(quality[0].key)
