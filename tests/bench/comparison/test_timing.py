"""Slow code and slow machines are told apart."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from bench.comparison import (
    Aspect,
    Outcome,
    StoredRun,
    compare_runs,
    tables,
)
from bench.comparison.timing import drift
from tests.helpers.comparison import ONE, loud, of_one, slowed, with_values


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
