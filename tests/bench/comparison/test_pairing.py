"""Records are compared with the records of the same cell; all others are listed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bench.analysis.tidy import place
from bench.comparison import (
    Aspect,
    Outcome,
    StoredRun,
    compare_runs,
    compare_solvers,
    read_stored_run,
)
from bench.utils.errors import UserError
from tests.helpers.comparison import ONE, QUICK, loud, of_one, with_values
from tests.helpers.records import folder_of, sized


def test_missing_cells_are_told_and_further_ones_are_only_counted(quick):
    less = StoredRun("less", tuple(r for r in quick.records if place(r) != ONE))
    (found,) = compare_runs(less, [quick])
    told = [(c.part, c.quantity, c.seed, c.verdict) for c in loud(found)]
    assert told == [
        (Aspect.VALUES, "cell", 0, Outcome.MISSING),
        (Aspect.VALUES, "cell", 1, Outcome.MISSING),
        (Aspect.TIME, "step, ms", None, Outcome.MISSING),
    ]
    assert found.warnings == (f"3 records of {QUICK} have no counterpart",)
    (back,) = compare_runs(quick, [less])
    assert loud(back) == []
    assert back.warnings == (f"3 records of {QUICK} have no counterpart",)


def test_cells_under_other_settings_are_left_out_and_counted(quick):
    def apart(table, **entries):
        return StoredRun(
            "apart",
            tuple(
                replace(r, settings=r.settings | {table: r.settings[table] | entries}) if of_one()(r) else r
                for r in with_values(quick, lambda v: v.update(vjps=0), of_one()).records
            ),
        )

    (found,) = compare_runs(apart("training", steps=31), [quick])
    assert [(c.quantity, c.verdict) for c in loud(found)] == [("cell", Outcome.MISSING)]
    assert found.warnings == ("1 records left out, their settings differ: 1 in training",)
    everything = StoredRun(
        "all", tuple(replace(r, settings=r.settings | {"dtype": "f"}) for r in quick.records)
    )
    with pytest.raises(UserError, match="differ in dtype: compare runs of the same profile"):
        compare_runs(everything, [quick])


def test_a_setting_that_older_records_do_not_know_has_its_default(quick):
    def aged(r):
        training = {k: v for k, v in r.settings.get("training", {}).items() if k != "eval_every"}
        return replace(r, settings=r.settings | {"training": training})

    (found,) = compare_runs(quick, [StoredRun("old", tuple(map(aged, quick.records)))])
    assert loud(found) == []
    looked = tuple(
        replace(r, settings=r.settings | {"training": r.settings["training"] | {"eval_every": 5}})
        for r in quick.records
    )
    with pytest.raises(UserError, match="differ in training"):
        compare_runs(StoredRun("looked", looked), [StoredRun("old", tuple(map(aged, quick.records)))])


def test_machines_and_versions_that_differ_are_told_and_compared(quick):
    other = tuple(
        replace(
            r,
            settings=r.settings | {"device": "cuda", "threads": 4},
            provenance=r.provenance | {"versions": r.provenance["versions"] | {"torch": "9.9"}},
        )
        for r in quick.records
    )
    (found,) = compare_runs(quick, [StoredRun("other", other)])
    assert loud(found) == []
    assert found.warnings == (
        "device differs: cpu here, cuda there",
        "threads differs: 1 here, 4 there",
        "versions differ: torch 2.15.0 here, 9.9 there",
    )


def test_two_solvers_of_one_run(quick):
    found = compare_solvers(quick, "restarted_jfb(10,16)", "deq(1e-06)")
    assert {c.place[3] for c in found.changes} == {"restarted_jfb(10, 16) against deq(1e-06)"}
    assert {c.place[0] for c in found.changes} == {
        "denoising(huber)",
        "deblurring(huber)",
        "inpainting(huber)",
    }
    slow = {c.place[0]: c for c in found.changes if c.part == Aspect.TIME}
    seconds = {
        record.solver: np.median(record.values["seconds"])
        for record in quick.of("cost")
        if record.task == "denoising(huber)"
    }
    ratio = seconds["restarted_jfb(10, 16)"] / seconds["deq(1e-06)"]
    assert slow["denoising(huber)"].change == pytest.approx(ratio)
    assert slow["denoising(huber)"].verdict == Outcome.WORSE
    errors = [c for c in found.changes if c.quantity == "gradient error"]
    assert {c.verdict for c in errors} == {Outcome.WORSE}
    assert found.columns == ()
    back = compare_solvers(quick, "deq(1e-06)", "restarted_jfb(10, 16)")
    opposite = {Outcome.WORSE: Outcome.BETTER, Outcome.BETTER: Outcome.WORSE}
    expected = [opposite.get(c.verdict, c.verdict) for c in found.changes]
    key = {(c.quantity, c.place[0]): c.verdict for c in back.changes}
    assert [key[c.quantity, c.place[0]] for c in found.changes] == expected


def test_sizes_are_compared_with_their_own(tmp_path):
    run = read_stored_run(folder_of(sized(), tmp_path / "run"))
    only = lambda r: (r.kind, r.crop, r.batch, r.solver) == ("quality", 64, 2, "jfb(1)")  # noqa: E731
    (found,) = compare_runs(with_values(run, lambda v: v.update(saved_bytes=1), only), [run])
    assert {c.place for c in loud(found)} == {("deblurring(huber)", 64, 2, "jfb(1)")}
    assert {c.quantity for c in loud(found)} == {"saved_mib", "tape, MiB"}
