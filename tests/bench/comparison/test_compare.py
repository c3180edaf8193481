"""Comparing runs: verdicts are right on real records, and chance does not make them."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench.__main__ import entry
from bench.analysis import metrics
from bench.analysis.metric import Tolerance
from bench.analysis.tidy import place
from bench.comparison import (
    Aspect,
    Outcome,
    StoredRun,
    compare_runs,
    compare_solvers,
    output,
    read_run,
    tables,
)
from bench.comparison.change import regressions
from bench.comparison.pairing import PairedRecords
from bench.comparison.significance import VarianceEstimate, difference, mean_of, moderated, sharing, within
from bench.comparison.timing import drift, times
from bench.records.store import Store
from bench.timing.test_step import paired_ratios
from bench.utils.errors import UserError
from tests.bench.conftest import sealed
from tests.bench.report.test_report import folder_of, sized

QUICK = Path(__file__).parents[3] / "results" / "reference" / "quick-cpu"
ONE = ("inpainting(huber)", 64, 2, "unrolled(10)")


@pytest.fixture(scope="module")
def quick() -> StoredRun:
    """The reference with the timings of one quiet run: the next one may be noisier."""
    frozen = json.loads((Path(__file__).parent / "timings.json").read_text(encoding="utf-8"))
    run = read_run(QUICK)
    names = ["|".join(map(str, place(record))) if record.kind == "cost" else "" for record in run.records]
    assert set(frozen) <= set(names)
    records = [
        replace(record, values=record.values | frozen.get(name, {}))
        for record, name in zip(run.records, names, strict=True)
    ]
    return replace(run, records=tuple(records))


@pytest.fixture(scope="module")
def timings(quick):
    return list(quick.of("cost"))


def with_values(run, change, only=lambda record: True):
    """The run with ``change`` applied to the values of some of its records."""
    records = []
    for record in run.records:
        if only(record):
            values = dict(record.values)
            change(values)
            record = replace(record, values=values)
        records.append(record)
    return StoredRun("changed", tuple(records))


def of_one(kind="quality", seed=0):
    return lambda r: r.kind == kind and place(r) == ONE and (kind == "cost" or r.seed == seed)


def loud(comparison, part=None):
    return [
        change
        for change in comparison.changes
        if change.verdict not in (Outcome.SAME, Outcome.NOISE) and part in (None, change.part)
    ]


# Statistics -----------------------------------------------------------------------------------------------------------


def noise_of(records):
    """What a single timing of each cell moves by, and the shape of it: the tails are those of real rounds.

    A paired ratio has one and a half times the variance of a timing. Spreads of a few rounds are drawn together, or
    the cells drawn would be more unlike than the real ones are.
    """
    logs = {r.key: [np.log(r.values[name]) for name in ("ratios", "ratios_of_floor")] for r in records}
    scales = {
        key: math.sqrt(s.variance / 1.5)
        for key, s in moderated({k: within(v) for k, v in logs.items()}).items()
    }
    tails = np.concatenate([(x - x.mean()) / x.std(ddof=1) for v in logs.values() for x in v])
    return scales, tails / tails.std()


def timed_again(rng, record, noise, code=1.0, machine=1.0):
    """A timing of the same cell with real noise, on a machine that drifts from round to round and cell to cell."""
    scales, tails = noise
    rounds = len(record.values["ratios"])
    level = machine * math.exp(0.15 * rng.standard_normal()) * np.median(record.values["floor_seconds"])
    logs = scales[record.key] * (
        rng.choice(tails, 4 * rounds + 2) + np.cumsum(0.3 * rng.standard_normal(4 * rounds + 2))
    )
    first, again = level * np.exp(logs[: 2 * rounds + 1]), level * np.exp(logs[2 * rounds + 1 :])
    floors, steps = list(first[0::2]), list(first[1::2] * np.median(record.values["ratios"]) * code)
    values = {
        "seconds": steps,
        "floor_seconds": floors,
        "ratios": paired_ratios(steps, floors),
        "ratios_of_floor": paired_ratios(list(again[1::2]), list(again[0::2])),
    }
    return replace(record, values=record.values | values)


def study(timings, pairs, code, machine, slow=lambda place: True):
    """So many pairs of runs of 30 cells: the changes of each."""
    rng, noise = np.random.default_rng(5), noise_of(timings)
    for _ in range(pairs):
        chosen = [timings[i] for i in rng.choice(len(timings), 30, replace=False)]
        both = [
            (
                timed_again(rng, r, noise, code if slow(i) else 1.0, machine),
                timed_again(rng, r, noise),
            )
            for i, r in enumerate(chosen)
        ]
        yield times(PairedRecords(tuple(both), (), (), ()), 0.02)


def test_chance_is_called_a_slowdown_in_at_most_one_comparison_of_twenty(timings):
    """And a machine that is 1.7 times slower is told as the machine."""
    found = list(study(timings, 200, code=1.0, machine=1.7))
    worse = [any(change.verdict == Outcome.WORSE for change in changes) for changes, _ in found]
    assert np.mean(worse) <= 0.05
    # Not because nothing is ever found: intervals are no wider than they have to be.
    held = [change for changes, _ in found for change in changes if change.place is not None]
    widths = np.log([change.high / change.low for change in held])
    assert np.median(widths) < 0.08
    # What three rounds do not know of their own spread, they have from the other cells: 0.096 without.
    few = {place(record) for record in timings if len(record.values["ratios"]) == 3}
    assert (
        np.median([width for width, change in zip(widths, held, strict=True) if change.place in few]) < 0.088
    )
    machine = [overall[0].machine for _, overall in found]
    assert np.mean([not m.excludes(1.7) for m in machine]) >= 0.9
    assert all(m.excludes(1.0) for m in machine)
    assert np.mean([not overall[0].code.excludes(1.0) for _, overall in found]) >= 0.9


@pytest.mark.parametrize(("code", "least"), [(1.1, 0.85), (1.15, 0.94)])
def test_a_slowdown_is_found(timings, code, least):
    """Over all cells always; in a cell by itself as often as its rounds and its noise allow."""
    found = list(study(timings, 60, code, machine=1.0))
    assert all(changes[0].verdict == Outcome.WORSE for changes, _ in found)
    cells = [change.verdict == Outcome.WORSE for changes, _ in found for change in changes[1:]]
    assert np.mean(cells) >= least


def test_one_slow_cell_is_told_apart_from_the_others(timings):
    long = [r for r in timings if len(r.values["ratios"]) >= 4]
    found = list(study(long, 60, code=1.15, machine=0.8, slow=lambda i: i == 7))
    assert np.mean([changes[8].verdict == Outcome.WORSE for changes, _ in found]) >= 0.9
    others = [c.verdict == Outcome.WORSE for changes, _ in found for c in (*changes[:8], *changes[9:])]
    assert np.mean(others) <= 0.004


def test_neighbours_that_share_a_floor_make_a_mean_less_sure():
    rng = np.random.default_rng(1)
    for rounds in (3, 5, 9):
        steps, floors = rng.normal(0, 1, (20_000, rounds)), rng.normal(0, 1, (20_000, rounds + 1))
        ratios = steps - (floors[:, :-1] + floors[:, 1:]) / 2
        known = ratios.var(axis=1, ddof=1).mean() / rounds
        assert ratios.mean(axis=1).var() / known == pytest.approx(sharing(rounds), rel=0.05)


@pytest.mark.parametrize("prior", [2.0, 8.0, math.inf])
def test_moderated_variances_find_what_cells_have_in_common(prior):
    rng = np.random.default_rng(2)
    true = np.full(3000, 4.0) if math.isinf(prior) else 4.0 * prior / rng.chisquare(prior, 3000)
    drawn = true * rng.chisquare(4, 3000) / 4
    found = moderated({i: VarianceEstimate(float(v), 4.0) for i, v in enumerate(drawn)})
    assert found[0].freedom == pytest.approx(prior + 4, rel=0.15) or (
        math.isinf(prior) and found[0].freedom > 100
    )
    ours = np.array([spread.variance for spread in found.values()])
    error, before = (np.mean((np.log(v) - np.log(true)) ** 2) for v in (ours, drawn))
    assert error < 0.9 * before


def test_intervals_are_those_of_the_textbook():
    from scipy import stats

    rng = np.random.default_rng(3)
    a, b = rng.normal(1, 1, 7), rng.normal(0, 3, 5)
    one, other = within([a]), within([b])
    found = difference(a.mean() - b.mean(), one, 7, other, 5, 0.05)
    expected = stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-12)
    mean = mean_of(list(a), 0.01)
    expected = stats.ttest_1samp(a, 0).confidence_interval(0.99)
    assert (mean.low, mean.high) == pytest.approx((expected.low, expected.high), rel=1e-12)
    assert mean_of([1.0], 0.05) is None
    assert within([[1.0], []]) is None
    assert within([[1.0, 3.0], [7.0, 9.0], [5.0]]) == VarianceEstimate(2.0, 2.0)


# Verdicts -------------------------------------------------------------------------------------------------------------


def test_a_run_is_the_same_as_itself(quick):
    (found,) = compare_runs(quick, [quick])
    assert {change.verdict for change in found.changes} == {Outcome.SAME}
    assert [column.name for column in found.columns] == [m.name for m in metrics.METRICS if m.tolerance]
    assert {column.cells for column in found.columns} == {137}
    assert {change.part for change in found.changes} == set(Aspect) - {Aspect.VALUES}
    timed = [c for c in found.changes if c.part == Aspect.TIME and c.place is not None]
    assert len(timed) == 71
    assert found.warnings == ()
    assert found.overall[0].milliseconds.value == 1.0
    assert tables.overall([found]).frame()["what moved"].iloc[0] == "nothing"


@pytest.mark.parametrize(
    ("change", "columns", "parts"),
    [
        (
            lambda v: v.update(psnr_trained=[x - 0.1 for x in v["psnr_trained"]]),
            {"psnr"},
            {("PSNR, dB", "worse")},
        ),
        (
            lambda v: v.update(ssim_equilibrium=[x + 0.02 for x in v["ssim_equilibrium"]]),
            {"ssim_equilibrium"},
            {("SSIM at eq.", "better")},
        ),
        (
            lambda v: v.update(applications=v["applications"] + 1),
            {"applications"},
            {("applications", "worse")},
        ),
        (
            lambda v: v.update(saved_bytes=v["saved_bytes"] * 1.02),
            {"saved_mib"},
            {("tape, MiB", "worse")},
        ),
        (lambda v: v.update(saved_bytes=v["saved_bytes"] - 8), set(), {("tape, MiB", "better")}),
        (
            lambda v: v.update(
                hypergradient_errors=[1.1 * e for e in v["hypergradient_errors"]],
                hypergradient_error=1.1 * v["hypergradient_error"],
            ),
            {"hypergradient_error"},
            {("gradient error", "worse")},
        ),
        (
            lambda v: v.update(hypergradient_errors=[None, None], hypergradient_error=None),
            {"hypergradient_error"},
            set(),
        ),
        (lambda v: v.update(vjps=v["vjps"] - 3), {"vjps"}, {("VJPs", "better")}),
    ],
)
def test_a_change_of_every_seed_is_told_in_its_part(quick, change, columns, parts):
    run = with_values(quick, change, lambda r: of_one(seed=r.seed)(r))
    (found,) = compare_runs(run, [quick])
    assert {c.quantity for c in loud(found, Aspect.VALUES)} == columns
    rest = [c for c in loud(found) if c.part != Aspect.VALUES]
    assert {(c.quantity, str(c.verdict)) for c in rest} == parts
    assert {c.place for c in loud(found)} == {ONE}
    assert bool(regressions(found.changes, [Aspect.VALUES])) == bool(columns)
    assert bool(regressions(found.changes, [Aspect.MEMORY, Aspect.QUALITY])) == ("worse" in str(parts))


def test_quality_that_goes_up_and_down_is_noise(quick):
    def shake(values):
        ups = (1.0, -0.6, 0.9, -0.7)
        values["psnr_trained"] = [x + up for x, up in zip(values["psnr_trained"], ups, strict=True)]

    run = with_values(quick, shake, lambda r: of_one(seed=r.seed)(r))
    (found,) = compare_runs(run, [quick])
    (psnr,) = [c for c in found.changes if c.place == ONE and c.quantity == "PSNR, dB"]
    assert psnr.verdict == Outcome.NOISE
    assert psnr.change == pytest.approx(0.15)
    assert psnr.low < 0 < psnr.high
    assert {c.quantity for c in loud(found)} == {"psnr"}, "but the values are not those of the reference"


def test_images_that_move_by_chance_in_every_cell_are_noise(quick):
    rng = np.random.default_rng(6)

    def shake(values):
        if "psnr_trained" in values:
            values["psnr_trained"] = [x + 0.5 * rng.standard_normal() for x in values["psnr_trained"]]

    (found,) = compare_runs(with_values(quick, shake), [quick])
    psnrs = [c for c in found.changes if c.quantity == "PSNR, dB"]
    assert {c.verdict for c in psnrs} == {Outcome.SAME, Outcome.NOISE}
    assert sum(c.verdict == Outcome.NOISE for c in psnrs) > 40


def test_images_that_are_lost_are_worse(quick):
    run = with_values(quick, lambda v: v.update(psnr_trained=[None, *v["psnr_trained"][1:]]), of_one())
    (found,) = compare_runs(run, [quick])
    (psnr,) = loud(found, Aspect.QUALITY)
    assert (psnr.verdict, psnr.why) == (Outcome.WORSE, "1 images have none here, 0 none in the reference")
    (back,) = compare_runs(quick, [run])
    assert [c.verdict for c in loud(back, Aspect.QUALITY)] == [Outcome.BETTER]
    # As in the tables: images from no equilibrium mean nothing.
    lost = with_values(quick, lambda v: v.update(equilibrium_residual=1.0), of_one())
    (found,) = compare_runs(lost, [quick])
    assert {c.quantity for c in loud(found, Aspect.QUALITY)} == {"PSNR at eq., dB", "SSIM at eq."}


def slowed(values, by=1.3):
    values["seconds"] = [by * s for s in values["seconds"]]
    values["ratios"] = [by * s for s in values["ratios"]]


def test_slow_code_is_worse_and_a_slow_machine_is_not(quick):
    (found,) = compare_runs(with_values(quick, slowed, of_one("cost")), [quick])
    (slow,) = loud(found)
    assert (slow.place, slow.verdict) == (ONE, Outcome.WORSE)
    assert slow.change == pytest.approx(1.3)
    assert slow.machine == pytest.approx(1.0)
    assert slow.low < 1.3 < slow.high

    def elsewhere(values):
        for name in ("seconds", "floor_seconds"):
            values[name] = [1.7 * s for s in values[name]]

    (found,) = compare_runs(with_values(quick, elsewhere, lambda r: r.kind == "cost"), [quick])
    assert loud(found) == []
    assert found.overall[0].machine.value == pytest.approx(1.7)
    assert found.overall[0].milliseconds.value == pytest.approx(1.7)
    assert tables.overall([found]).frame()["what moved"].iloc[0] == "the machine: slower"
    other = tuple(replace(r, provenance=r.provenance | {"fingerprint": "x"}) for r in quick.records)
    (found,) = compare_runs(
        with_values(quick, elsewhere, lambda r: r.kind == "cost"), [StoredRun("b", other)]
    )
    assert "its libraries or the operators" in tables.overall([found]).frame()["what moved"].iloc[0]


def test_more_applications_are_the_codes_doing(quick):
    def more(values):
        for name in ("seconds", "floor_seconds"):
            values[name] = [2.0 * s for s in values[name]]
        values |= {"untaped": 2 * values["untaped"], "recorded": 2 * values["recorded"]}

    (found,) = compare_runs(with_values(quick, more, of_one("cost")), [quick])
    (slow,) = loud(found)
    assert slow.change == pytest.approx(2.0)
    assert slow.machine == pytest.approx(1.0)


def test_the_tolerance_of_the_time_is_the_users(quick):
    def part(tolerance):
        run = with_values(quick, lambda v: slowed(v, 1.08), of_one("cost"))
        (found,) = compare_runs(run, [quick], tolerance)
        return {c.verdict for c in found.changes if c.part == Aspect.TIME and c.place == ONE}

    assert part(0.02) == {Outcome.WORSE}
    assert part(0.1) == {Outcome.SAME}


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


def test_a_timing_that_failed_is_missing(quick):
    failed = tuple(
        replace(r, status="oom", reason="no memory", values={}) if of_one("cost")(r) else r
        for r in quick.records
    )
    (found,) = compare_runs(StoredRun("failed", failed), [quick])
    (gone,) = loud(found)
    assert (gone.verdict, gone.why) == (Outcome.MISSING, "oom here: no memory")
    (both,) = compare_runs(StoredRun("failed", failed), [StoredRun("too", failed)])
    assert loud(both) == []


def test_another_outcome_is_a_changed_value(quick):
    run = StoredRun("r", tuple(replace(r, status="diverged") if of_one()(r) else r for r in quick.records))
    (found,) = compare_runs(run, [quick])
    assert [(c.quantity, c.verdict) for c in loud(found)] == [("status", Outcome.CHANGED)]


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
        training = {k: v for k, v in r.settings.get("training", {}).items() if k != "look"}
        return replace(r, settings=r.settings | {"training": training})

    (found,) = compare_runs(quick, [StoredRun("old", tuple(map(aged, quick.records)))])
    assert loud(found) == []
    looked = tuple(
        replace(r, settings=r.settings | {"training": r.settings["training"] | {"look": 5}})
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


def test_the_drift_of_a_run_is_what_prices_of_work_do_not_explain(quick):
    rng = np.random.default_rng(4)

    def drifting(by):
        records = []
        for record in quick.of("cost"):
            work = [float(record.values[name]) for name in ("untaped", "recorded", "adjoint", "again")]
            seconds = (1e-3 + np.dot(work, [1e-4, 3e-4, 2e-4, 1e-4])) * math.exp(by * rng.standard_normal())
            records.append(replace(record, values=record.values | {"floor_seconds": [seconds] * 3}))
        return drift(records)

    assert drifting(0.0).variance < 1e-20
    assert math.sqrt(drifting(0.1).variance) == pytest.approx(0.1, rel=0.25)
    assert drift(quick.of("cost")[:2]) is None


def test_sizes_are_compared_with_their_own(tmp_path):
    run = read_run(folder_of(sized(), tmp_path / "run"))
    only = lambda r: (r.kind, r.crop, r.batch, r.solver) == ("quality", 64, 2, "jfb(1)")  # noqa: E731
    (found,) = compare_runs(with_values(run, lambda v: v.update(saved_bytes=1), only), [run])
    assert {c.place for c in loud(found)} == {("deblurring(huber)", 64, 2, "jfb(1)")}
    assert {c.quantity for c in loud(found)} == {"saved_mib", "tape, MiB"}


def test_what_diverged_on_both_sides_agrees(quick):
    def fall(values):
        values |= {"past_psnr": [20.0, *[None] * 6], "past_residuals": [0.1, *[None] * 6]}

    run = with_values(quick, fall, of_one())
    assert loud(compare_runs(run, [run])[0]) == []
    assert {c.quantity for c in loud(compare_runs(run, [quick])[0])} == {"psnr_10", "psnr_100"}


def test_tolerances():
    assert Tolerance(absolute=0.1).admits(1.05, 1.0)
    assert not Tolerance(absolute=0.1).admits(1.2, 1.0)
    assert Tolerance(relative=0.05).admits(1.04, 1.0)
    assert Tolerance().admits(2.0, 2.0)
    assert Tolerance().admits(math.nan, math.nan)
    assert not Tolerance(absolute=9.0).admits(math.nan, 1.0)


# Files and the command ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def edited(tmp_path_factory) -> Path:
    """A copy of the quick reference: one tape is larger, one step is slower."""
    folder = tmp_path_factory.mktemp("edited") / "run"
    shutil.copytree(QUICK, folder, ignore=shutil.ignore_patterns("*.npz", "figures", "tables"))
    for record in Store(folder).records():
        found = json.loads(record.to_json())
        if of_one()(record):
            found["values"]["saved_bytes"] += 100_000
        elif of_one("cost")(record):
            slowed(found["values"])
        (folder / "rows" / f"{record.key}.json").write_text(sealed(found))
    return folder


def test_the_same_records_give_the_same_bytes_of_every_file(edited, tmp_path):
    contents = []
    for name in ("a", "b"):
        found = compare_runs(read_run(edited), [read_run(QUICK)] * 2)
        files = output.write_comparison(found, tmp_path / name)
        contents.append({f.name: f.read_bytes() for f in files})
    assert contents[0] == contents[1]
    assert set(contents[0]) == {"compare.md", "compare.csv", "index.html"}
    page = contents[0]["index.html"].decode()
    assert "restarted_jfb(10, 16)" in page
    assert "<script src" not in page
    every = pd.read_csv(tmp_path / "a" / "compare.csv")
    assert len(every) == sum(len(comparison.changes) for comparison in found)
    row = every[(every["verdict"] == "worse") & (every["part"] == "time")].iloc[0]
    assert row["change"] == pytest.approx(1.3)
    text = contents[0]["compare.md"].decode()
    assert "1.300" in text
    assert "further rows of memory: the same, or noise." in text


def test_two_solvers_have_a_page_too(quick, tmp_path):
    output.write_comparison([compare_solvers(quick, "jfb(10)", "deq(1e-06)")], tmp_path)
    text = (tmp_path / "compare.md").read_text()
    assert "# jfb(10) against deq(1e-06)" in text
    assert "the machine ×" not in text
    assert "jfb(10)" in (tmp_path / "index.html").read_text()


def test_exit_codes_are_those_of_the_parts_that_were_asked_for(edited, capsys):
    both = [str(edited), str(QUICK)]
    assert entry(["compare", *both]) == 0
    assert "1.300" in capsys.readouterr().out
    codes = {part: entry(["compare", *both, "--fail-on", part]) for part in (*Aspect, "any")}
    assert codes == {"values": 1, "time": 1, "memory": 1, "quality": 0, "any": 1}
    told = capsys.readouterr().err
    assert f"regressed against {QUICK}: 1 of values, 1 of time, 1 of memory" in told
    assert entry(["compare", *both, "--fail-on", "quality", "--fail-on", "time", "--tolerance", "0.5"]) == 0
    assert entry(["compare", str(QUICK), str(QUICK), "--fail-on", "any"]) == 0


def test_json_is_one_object_and_nothing_else(edited, capsys):
    assert entry(["compare", str(edited), str(QUICK), "--json", "--fail-on", "any"]) == 1
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    found = json.loads(out)
    (reference,) = found["references"]
    assert reference["regressed"] == 3
    told = {(c["part"], c["quantity"], c["verdict"]) for c in reference["changes"]}
    assert ("time", "step, ms", "worse") in told
    assert ("values", "saved_mib", "changed") in told


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["QUICK"], "alone: name a second run, or two solvers of it"),
        (["QUICK", "NOWHERE"], "holds no run"),
        (["QUICK", "GROWTH"], "have no cell in common"),
        (["QUICK", "QUICK", "--fail-on", "tiem"], "unknown --fail-on 'tiem'; did you mean time"),
        (["QUICK", "--solver", "jfb(10)"], "--solver and --against go together"),
        (["QUICK", "--solver", "jfb(11)", "--against", "jfb(10)"], "unknown solver of"),
        (["QUICK", "--solver", "jfb(10)", "--against", "jfb( 10 )"], "are both jfb(10)"),
        (["QUICK", "QUICK", "--solver", "jfb(10)", "--against", "jfb(40)"], "name one folder"),
        (["QUICK", "--solver", "jfb(10)", "--against", "jfb(40)", "--fail-on", "values"], "need not agree"),
        (["QUICK", "QUICK", "--tolerance", "-1"], "--tolerance"),
        (["QUICK", "QUICK", "--out", "QUICK"], "holds a run"),
        (["QUICK", "QUICK", "--out", "FILE"], "is a file"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(words, message, tmp_path, capsys):
    (tmp_path / "file").touch()
    made = {"QUICK": QUICK, "GROWTH": QUICK.with_name("growth-cpu")}
    made |= {"NOWHERE": tmp_path / "none", "FILE": tmp_path / "file"}
    assert entry(["compare", *(str(made.get(word, word)) for word in words)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert message in captured.err
