"""Sentences of docs/published.md: they hold for good records, and for no worse ones."""

from __future__ import annotations

import pandas as pd
import pytest

from bench.studies.published.rows import ADVISED
from bench.studies.quoted import published
from bench.studies.quoted.published import GENERAL, STUDY, SYMMETRIC

GOOD = {STUDY: (170, 0.12), ADVISED.label: (95, 0.011), SYMMETRIC: (130, 0.001), GENERAL: (250, 0.001)}
"""Products and error by estimator."""


def records(monkeypatch, moved=0.005, **worse):
    names = {"advised": ADVISED.label, "symmetric": SYMMETRIC, "general": GENERAL}
    first = pd.DataFrame([(name, *GOOD[name]) for name in GOOD], columns=["estimator", "products", "error"])
    second = pd.DataFrame(
        [(name, *values) for name, values in (GOOD | {names[k]: v for k, v in worse.items()}).items()],
        columns=["estimator", "products", "error"],
    )
    gradients = pd.concat([first.assign(weights="a"), second.assign(weights="b")]).assign(seed=0)
    summary = gradients.assign(error_most=gradients["error"], regulariser=gradients["weights"])
    psnr = pd.DataFrame({"advised": [28.0, 28.0 - moved], "exact": [28.0, 28.0], "largest": [0.001, 0.16]})
    frames = {"gradients": gradients, "summary": summary, "psnr": psnr}
    monkeypatch.setattr(published, "reference_csv", lambda file: frames[file.split("/")[1].split(".")[0]])
    return frames


def test_sentences_hold_for_good_records(monkeypatch):
    records(monkeypatch)
    assert published.advised_beats_the_study()
    assert published.symmetric_takes_fewer_products()
    assert published.mean_psnr_is_that_of_further_solves()
    assert published.largest_change_of_psnr() == ["0.16 dB"]


@pytest.mark.parametrize("advised", [(180, 0.011), (95, 0.13)])
def test_one_weight_file_where_the_study_is_better_is_seen(monkeypatch, advised):
    records(monkeypatch, advised=advised)
    assert not published.advised_beats_the_study()


@pytest.mark.parametrize("symmetric", [(260, 0.011), (260, 0.001)])
def test_one_weight_file_where_the_symmetric_estimate_is_worse_is_seen(monkeypatch, symmetric):
    records(monkeypatch, symmetric=symmetric)
    assert not published.symmetric_takes_fewer_products()


def test_misses_are_counted_by_weight_file(monkeypatch):
    records(monkeypatch)
    assert published.misses_of_the_estimates() == ["no", "no"]
    records(monkeypatch, general=(300, 0.011))
    assert published.misses_of_the_estimates() == ["no", "one"]
    records(monkeypatch, symmetric=(130, 0.011))
    assert published.misses_of_the_estimates() == ["one", "no"]


@pytest.mark.parametrize("moved", [-0.021, 0.021])
def test_a_mean_that_moves_is_seen(monkeypatch, moved):
    records(monkeypatch, moved=moved)
    assert not published.mean_psnr_is_that_of_further_solves()


def test_weight_files_that_are_not_measured_are_left_out(monkeypatch):
    frames = records(monkeypatch, general=(100, 0.001))
    assert not published.symmetric_takes_fewer_products()
    lacking = (frames["gradients"]["weights"] == "b") & (frames["gradients"]["estimator"] == SYMMETRIC)
    frames["gradients"] = frames["gradients"][~lacking]
    assert published.symmetric_takes_fewer_products()
    frames["gradients"] = frames["gradients"].query("estimator != @SYMMETRIC")
    assert not published.symmetric_takes_fewer_products()


def test_a_choice_that_is_not_measured_is_a_dash(monkeypatch):
    frames = records(monkeypatch)
    assert f"| `{SYMMETRIC}` | 130 (0.1 %) | 130 (0.1 %) |" in published.published_choices()
    lacking = (frames["summary"]["weights"] == "b") & (frames["summary"]["estimator"] == SYMMETRIC)
    frames["summary"] = frames["summary"][~lacking]
    assert f"| `{SYMMETRIC}` | 130 (0.1 %) | – |" in published.published_choices()
