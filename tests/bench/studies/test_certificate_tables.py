"""Tables of the study of certificates, of rows made by hand."""

from __future__ import annotations

import math
from dataclasses import asdict

import pytest

from bench.studies.certificates.cheapest_depth import GradientAtDepth
from bench.studies.certificates.overhead import Overhead
from bench.studies.certificates.tables import (
    against_best,
    certificates_markdown,
    overheads,
    rows_frame,
    trial_summary,
)
from bench.studies.certificates.trials import CertificateTrial


def trial(**changed):
    fields = {"task": "t", "solver": "jfb(2)", "seed": 0, "image": 0, "crop": 32, "matrix": True, "L": 0.5}
    fields |= {"part": "rigorous", "way": "plain", "bound": 1.0, "least": 0.0, "error": 0.5, "exact": 1.0}
    return asdict(CertificateTrial(**(fields | changed)))


def test_a_violation_shows_and_the_shares_are_right():
    rows = [trial(seed=i) for i in range(97)]
    rows += [
        trial(bound=0.49),
        trial(bound=math.nan),
        trial(least=0.51),
        trial(bound=0.5 * (1 - 1e-10)),  # rounding
        trial(bound=0.0, error=5e-13),  # so is this
        trial(status="no certificate", bound=math.inf),
        trial(status="no reference", error=math.nan),
    ]
    (every,) = trial_summary(rows_frame(rows, "rigorous")).itertuples()
    assert (every.trials, every.violations, every.above) == (102, 2, 1)
    assert every.share == pytest.approx(2 / 102)
    assert (every.no_certificate, every.no_reference, every.unranked) == (1, 1, 1)
    page = certificates_markdown(rows, ["a fact"])
    assert "plain: 102 trials, 2 bounds below the actual error (1.96 %)" in page
    assert "- a fact" in page


def test_quantiles_are_over_errors_that_the_reference_can_tell():
    rows = [trial(bound=0.5 * factor) for factor in (1, 2, 3, 4, 11)]
    rows += [trial(bound=1.0, error=1e-11)] * 9
    rows += [trial(way="audit", bound=0.6)]
    plain_, audit = trial_summary(rows_frame(rows, "rigorous")).itertuples()
    assert (plain_.median, plain_.unranked) == (3, 9)
    assert plain_.p90 == pytest.approx(4 + 0.6 * 7)
    assert (audit.way, audit.median) == ("audit", 1.2)


def depth(kind, rtol=0.01, **changed):
    fields = {"part": "depths", "task": "t", "crop": 32, "L": 0.5, "rtol": rtol, "kind": kind, "call": "c"}
    return asdict(
        GradientAtDepth(**(fields | {"applications": 10, "products": 10, "error": 0.005} | changed))
    )


def test_costs_are_held_against_the_best_and_misses_are_shown():
    rows = [
        depth("certified", applications=20, products=11, looks=7),
        depth("certified, estimated"),
        depth("fixed depth"),
        depth("tolerances", applications=5, products=5),
        depth("certified", rtol=0.001, error=0.002),
        depth("certified, estimated", rtol=0.001),
        depth("fixed depth", rtol=0.001, call="", applications=0, products=0, error=math.nan),
        depth("tolerances", rtol=0.001),
    ]
    easy, hard = against_best(rows_frame(rows, "depths")).itertuples()
    assert (easy.cost, easy.looks, easy.times_fixed, easy.times_tolerances) == (31, 7, 1.55, 3.1)
    assert (easy.reached, hard.reached) == (True, False)
    assert math.isnan(hard.times_fixed)
    page = certificates_markdown(rows, [])
    assert "within 0.01 on 1 of 1 tasks, and it costs at most 1.5 × the best fixed depth on 0 of 1" in page
    assert "within 0.001 on 0 of 1 tasks" in page


def test_overheads_are_shares_of_a_step():
    fields = ("overhead", "t", "jfb(2)", 32, "float64")
    rows = [
        asdict(Overhead(*fields, "plain", [1.1, 1.3, 9.0], [1.0, 1.0, 1.0])),
        asdict(Overhead(*fields, "audit", [1.0, 2.0, 3.0], [1.0, 1.0, 1.0])),
    ]
    each, audit = overheads(rows_frame(rows, "overhead")).itertuples(index=False)
    assert each.each == pytest.approx(0.3)
    assert audit.each == pytest.approx(2.0)
    assert audit[5:7] == pytest.approx((0.1, 0.02))
