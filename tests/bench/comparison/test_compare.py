"""Verdicts on real records: changes are reported in their part, and chance is not."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from bench.analysis import metrics
from bench.analysis.metric import Tolerance
from bench.comparison import (
    Aspect,
    Outcome,
    StoredRun,
    compare_runs,
    tables,
)
from bench.comparison.change import regressions
from tests.helpers.comparison import ONE, loud, of_one, with_values


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


def test_another_outcome_is_a_changed_value(quick):
    run = StoredRun("r", tuple(replace(r, status="diverged") if of_one()(r) else r for r in quick.records))
    (found,) = compare_runs(run, [quick])
    assert [(c.quantity, c.verdict) for c in loud(found)] == [("status", Outcome.CHANGED)]


def test_tolerances():
    assert Tolerance(absolute=0.1).admits(1.05, 1.0)
    assert not Tolerance(absolute=0.1).admits(1.2, 1.0)
    assert Tolerance(relative=0.05).admits(1.04, 1.0)
    assert Tolerance().admits(2.0, 2.0)
    assert Tolerance().admits(math.nan, math.nan)
    assert not Tolerance(absolute=9.0).admits(math.nan, 1.0)
