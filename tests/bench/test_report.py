"""Tables, figures and comparison are pure functions of records."""

from __future__ import annotations

import json
import math
import shutil

import pandas as pd
import pytest

from bench.compare import TOLERANCES, Tolerance, compare
from bench.errors import UserError
from bench.frame import tidy, trajectories
from bench.records import Store
from bench.report import load, write_report
from bench.tables import COLUMNS, PAST, printable, summarise, to_latex, to_markdown


@pytest.fixture
def frame(tiny_run):
    return tidy(load(tiny_run))


def edited(run, target, change):
    """A copy of a run with ``change`` applied to every record's dictionary."""
    shutil.copytree(run, target)
    for file in (target / "rows").glob("*.json"):
        record = json.loads(file.read_text())
        change(record)
        file.write_text(json.dumps(record))
    return target


def test_the_tidy_table_has_a_row_a_cell_and_no_holes(frame):
    assert len(frame) == 12
    assert list(frame["status"].unique()) == ["ok"]
    assert not frame[[c.name for c in COLUMNS]].isna().any().any()
    assert frame.groupby(["task", "solver"]).size().eq(2).all()


def test_the_summary_is_mean_and_spread_over_seeds(frame):
    summary = summarise(frame)
    part = frame[(frame["task"] == "denoising(huber)") & (frame["solver"] == "unrolled(2)")]
    row = summary[(summary["task"] == "denoising(huber)") & (summary["solver"] == "unrolled(2)")].iloc[0]
    a, b = part["psnr"]
    assert row["psnr"] == pytest.approx((a + b) / 2)
    assert row["psnr_spread"] == pytest.approx(abs(a - b) / math.sqrt(2))
    assert (row["seeds"], row["failed"]) == (2, 0)


def test_the_best_of_a_task_is_marked(frame):
    text, best = printable(summarise(frame), "inpainting(huber)")
    errors = (
        summarise(frame).query("task == 'inpainting(huber)'")["hypergradient_error"].reset_index(drop=True)
    )
    assert list(best["gradient error"]) == [i == errors.idxmin() for i in range(3)]
    assert "**" in to_markdown(text, best)
    latex = to_latex(text, best, "inpainting(huber)")
    for word in (r"\toprule", r"\textbf{", r"restarted\_jfb(2, 3)", r"$\pm$", r"$\times$ floor"):
        assert word in latex
    assert "±" not in latex
    assert "×" not in latex


def test_an_error_below_the_references_own_is_not_ranked(frame):
    frame.loc[frame["solver"] == "unrolled(2)", "hypergradient_error"] = 1e-13
    frame.loc[frame["solver"] == "deq(1e-08)", "hypergradient_error"] = 3e-12
    text, best = printable(summarise(frame), "denoising(huber)")
    assert list(text["gradient error"])[0::2] == ["< 1e-10", "< 1e-10"]
    assert list(best["gradient error"]) == [True, False, True]


def test_a_failed_cell_is_listed_and_left_out_of_the_means(tiny_run, tmp_path):
    def fail(record):
        if (record["kind"], record["solver"], record["seed"]) == ("quality", "unrolled(2)", 1):
            record |= {"status": "nan", "reason": "it is not finite", "values": {}}

    run = edited(tiny_run, tmp_path / "run", fail)
    write_report(run)
    text = (run / "tables" / "tables.md").read_text()
    assert "## Cells that failed" in text
    assert "it is not finite" in text
    summary = summarise(tidy(load(run)))
    failed = summary[summary["solver"] == "unrolled(2)"]
    assert list(failed["seeds"]) == [1, 1]
    assert list(failed["failed"]) == [1, 1]
    assert not failed["psnr"].isna().any()


def test_a_run_in_which_everything_failed_still_has_tables(tiny_run, tmp_path):
    def fail(record):
        record |= {"status": "error", "reason": "RuntimeError: x", "values": {}}

    run = edited(tiny_run, tmp_path / "run", fail)
    assert {f.suffix for f in write_report(run)} == {".md", ".csv", ".tex"}


def test_the_same_records_give_the_same_bytes(tiny_run, tmp_path):
    contents = []
    for name in ("a", "b"):
        shutil.copytree(tiny_run, tmp_path / name)
        files = write_report(tmp_path / name)
        contents.append({f.relative_to(tmp_path / name): f.read_bytes() for f in files})
    assert contents[0] == contents[1]
    names = {f.name for f in contents[0]}
    assert {"tables.md", "cells.csv", "summary.csv", "inpainting-huber.tex"} <= names
    for figure in (
        "error-against-cost",
        "psnr-against-depth",
        "memory-against-depth",
        "panels-denoising-huber",
    ):
        assert {f"{figure}.png", f"{figure}.pdf"} <= names


def test_the_csv_holds_every_cell(tiny_run, tmp_path, frame):
    shutil.copytree(tiny_run, tmp_path / "a")
    write_report(tmp_path / "a")
    again = pd.read_csv(tmp_path / "a" / "tables" / "cells.csv")
    assert len(again) == len(frame)
    assert again["hypergradient_error"].to_numpy() == pytest.approx(frame["hypergradient_error"].to_numpy())


def test_a_folder_without_a_run_is_a_clear_line(tmp_path):
    with pytest.raises(UserError, match="holds no run: make one with"):
        load(tmp_path)


def test_a_run_agrees_with_itself(tiny_run):
    differences, overview = compare(tiny_run, tiny_run)
    assert differences.empty
    assert list(overview["column"]) == [*TOLERANCES, "step_ms"]
    assert overview["largest difference"].iloc[-1] == "1.00 × (from 1.00 to 1.00)"


@pytest.mark.parametrize(
    ("change", "column"),
    [
        (lambda v: v.update(psnr_trained=[x + 0.1 for x in v["psnr_trained"]]), "psnr"),
        (lambda v: v.update(applications=v["applications"] + 1), "applications"),
        (lambda v: v.update(saved_bytes=v["saved_bytes"] * 1.02), "saved_mib"),
        (lambda v: v.update(hypergradient_error=v["hypergradient_error"] * 1.1), "hypergradient_error"),
        (lambda v: v.update(hypergradient_error=None), "hypergradient_error"),
    ],
)
def test_a_change_beyond_the_tolerance_is_found(tiny_run, tmp_path, change, column):
    def one(record):
        if (record["kind"], record["task"], record["solver"], record["seed"]) == (
            "quality",
            "inpainting(huber)",
            "unrolled(2)",
            0,
        ):
            change(record["values"])

    run = edited(tiny_run, tmp_path / "run", one)
    differences, _ = compare(run, tiny_run)
    assert list(differences["column"]) == [column]


def test_a_missing_cell_and_another_outcome_are_found(tiny_run, tmp_path):
    def fail(record):
        if (record["kind"], record["task"], record["seed"]) == ("quality", "denoising(huber)", 1):
            record["status"] = "diverged"

    run = edited(tiny_run, tmp_path / "run", fail)
    assert set(compare(run, tiny_run)[0]["column"]) == {"status"}
    lost = next(r.key for r in Store(run).records() if r.kind == "quality")
    (run / "rows" / f"{lost}.json").unlink()
    assert "missing" in set(compare(run, tiny_run)[0]["found"])


def test_tolerances():
    assert Tolerance(absolute=0.1).admits(1.05, 1.0)
    assert not Tolerance(absolute=0.1).admits(1.2, 1.0)
    assert Tolerance(relative=0.05).admits(1.04, 1.0)
    assert Tolerance().admits(2.0, 2.0)
    assert Tolerance().admits(math.nan, math.nan)
    assert not Tolerance(absolute=9.0).admits(math.nan, 1.0)


def past(psnr, residuals, depth=2):
    def change(record):
        if (record["kind"], record["solver"], record["seed"]) == ("quality", "unrolled(2)", 1):
            multiples = (1, 2, 5, 10, 20, 50, 100)[: len(psnr)]
            record["values"] |= {
                "past_depths": [depth * m for m in multiples],
                "past_psnr": psnr,
                "past_residuals": residuals,
                "jacobian_norm": 1.3,
                "stalls": True,
            }

    return change


def test_past_the_depth_the_table_tells_what_was_seen(tiny_run, tmp_path):
    """One seed of one solver diverges; JSON holds null for what is not finite."""
    fall = past([20.0, 15.0, None, None, None, None, None], [0.1, 0.5, *[None] * 5])
    run = edited(tiny_run, tmp_path / "run", fall)
    frame = tidy(load(run))
    row = frame[(frame["solver"] == "unrolled(2)") & (frame["seed"] == 1)].iloc[0]
    assert (row["psnr_10"], row["psnr_100"]) == (-math.inf, -math.inf)
    text, best = printable(summarise(frame), "denoising(huber)", PAST)
    first = text.iloc[0]
    assert first["T at its equilibrium"] == "not contractive here (L = 1.30)", "the worst seed counts"
    assert first["residual stalls"] == "on some seeds"
    assert first["at 100 ×"] == "diverged"
    assert not best.iloc[0]["at 100 ×"]
    assert best["at 100 ×"].any()
    assert text.iloc[1]["T at its equilibrium"].startswith("contractive (L = 0.4")
    assert text.iloc[1]["residual stalls"] == "no"
    write_report(run)
    assert (run / "figures" / "psnr-past-depth.png").stat().st_size > 5000
    assert "diverged" in (run / "tables" / "tables.md").read_text()
    # The same run agrees with itself, infinities and all.
    assert compare(run, run)[0].empty


def test_depths_that_nobody_looked_at_are_empty(tiny_run, tmp_path):
    run = edited(tiny_run, tmp_path / "run", past([20.0, 21.0, 22.0, 23.0], [0.1, 0.1, 0.1, 0.1]))
    text, _ = printable(summarise(tidy(load(run)).query("seed == 1")), "denoising(huber)", PAST)
    assert (text.iloc[0]["at 10 ×"], text.iloc[0]["at 100 ×"]) == ("23.00", "—")


def test_trajectories_hold_every_look(tiny_run):
    seen = trajectories(load(tiny_run))
    assert len(seen) == 12 * 7
    assert sorted(seen["multiple"].unique()) == [1, 2, 5, 10, 20, 50, 100]
    assert seen["residual"].min() >= 0
    assert not seen["psnr"].isna().any()


def test_images_from_no_equilibrium_are_not_shown(tiny_run, tmp_path):
    def lose(record):
        if (record["kind"], record["solver"]) == ("quality", "unrolled(2)"):
            record["values"]["equilibrium_residual"] = 11 * record["settings"]["equilibrium"]["tol"]

    frame = tidy(load(edited(tiny_run, tmp_path / "run", lose)))
    lost = frame["solver"] == "unrolled(2)"
    assert frame[lost][["psnr_equilibrium", "ssim_equilibrium"]].isna().all().all()
    assert not frame[~lost][["psnr_equilibrium", "ssim_equilibrium"]].isna().any().any()
    text, _ = printable(summarise(frame), "denoising(huber)")
    assert list(text["PSNR at eq. (dB)"] == "—") == [True, False, False]
