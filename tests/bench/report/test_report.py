"""Tables, figures and comparison are pure functions of records."""

from __future__ import annotations

import importlib.util
import json
import math
import re
import shutil
import sys

import pandas as pd
import pytest

from bench.__main__ import entry
from bench.analysis.metrics import COLUMNS, PAST
from bench.analysis.pareto import frontier_table
from bench.analysis.scaling import fitted_exponents, sizes
from bench.analysis.tidy import looks, tidy, trajectories
from bench.records.record import Record
from bench.records.store import Manifest, Store, load
from bench.report.family_style import family_styles
from bench.report.page.render import _vega
from bench.report.parquet import write_parquet
from bench.report.plots import growth
from bench.report.psnr_plots import psnr_against_work
from bench.report.report import write_report
from bench.report.summary import printable, summarise
from bench.report.tables import table_markdown, to_latex, write_tables
from bench.utils.errors import UserError
from tests.bench.conftest import sealed


@pytest.fixture
def frame(tiny_run):
    return tidy(load(tiny_run))


def edited(run, target, change):
    """A copy of a run with ``change`` applied to every record's dictionary."""
    shutil.copytree(run, target)
    for file in (target / "rows").glob("*.json"):
        record = json.loads(file.read_text())
        change(record)
        file.write_text(sealed(record))
    return target


def gradients(task, crop, batch, solver, error, work, **further):
    """The two records of a cell of a profile that trains nothing; its seconds tell its size and its solver."""
    settings = {
        "images": {"crop": crop, "train": batch},
        "training": {"batch": batch},
        "equilibrium": {"tol": 1e-3},
    }
    products = {
        "applications": work,
        "vjps": work // 2,
        "evaluations": float(work),
        "recorded": 1,
        "residual": 0.1,
    }
    tape = {
        "saved_bytes": work * crop**2 * batch,
        "peak_bytes": 2 * work * crop**2 * batch,
        "contraction": 0.9,
    }
    quality = products | tape | {"hypergradient_error": error, "hypergradient_cosine": 0.5} | further
    seconds = [1e-9 * work * crop**2 * batch * (1 + 0.1 * k) for k in range(3)]
    ratios = {"ratios": [1.0, 1.1, 1.2], "ratios_of_floor": [1.0, 1.0, 1.0]}
    key = re.sub(r"\W", "-", f"{task}-{crop}-{batch}-{solver}")
    return [
        Record(f"q{key}", "quality", task, solver, "", 0, "ok", "", settings, quality),
        Record(f"c{key}", "cost", task, solver, "", 0, "ok", "", settings, {"seconds": seconds} | ratios),
    ]


SOLVERS = (
    ("jfb(1)", 0.5, 4),
    ("deq(0.1)", 0.02, 30),
    ("deq(0.01)", 1e-6, 60),
    ("elsewhere_deq(1)", 0.005, 50),
)


def sized():
    """Three sizes of one task, and one of another that has no reference gradient."""
    found = [
        record
        for crop, batch in ((64, 1), (64, 2), (128, 1), (256, 1))
        for solver, error, work in SOLVERS
        for record in gradients("deblurring(huber)", crop, batch, solver, error, work)
    ]
    for solver, _, work in SOLVERS:
        found += gradients("denoising(l1)", 64, 1, solver, None, work)
    return found


def folder_of(records, folder):
    store = Store(folder)
    store.claim(Manifest("made", "", "i", "cpu", [r.key for r in records]))
    for record in records:
        store.write(record)
    return folder


def test_a_size_gets_its_own_seconds_and_its_own_heading():
    frame = tidy(sized())
    assert len(frame) == 20
    for row in frame.itertuples():
        # The median of three rounds is the second.
        work = {s: w for s, _, w in SOLVERS}[row.solver]
        assert row.step_ms == pytest.approx(1e-6 * work * row.crop**2 * row.batch * 1.1)
    assert list(frame["heading"].unique()) == [
        "deblurring(huber) · 64² × 1",
        "deblurring(huber) · 64² × 2",
        "deblurring(huber) · 128² × 1",
        "deblurring(huber) · 256² × 1",
        "denoising(l1)",
    ]
    assert set(frame[frame["peer"]]["family"]) == {"elsewhere_deq"}
    summary = summarise(frame)
    assert len(summary) == 20
    assert set(summary["seeds"]) == {1}
    assert list(summary["crop"].unique()) == [64, 128, 256]
    text, _ = printable(summary, "deblurring(huber) · 128² × 1")
    assert len(text) == len(SOLVERS)


def test_what_was_not_measured_has_no_column_and_no_table(tmp_path):
    write_tables(tidy(sized()), tmp_path)
    text = (tmp_path / "tables.md").read_text().split("---\nPSNR")[0]
    assert "PSNR" not in text
    assert "Past the trained depth" not in text
    assert "measurement itself" not in text
    assert "nan" not in text
    with_errors, without = text.split("## denoising(l1)")
    assert with_errors.count("gradient error") == 4
    assert "gradient error" not in without
    assert "There is no reference gradient" in without
    latex = (tmp_path / "deblurring-huber-64-2.tex").read_text()
    assert (tmp_path / "denoising-l1.tex").is_file()
    assert "64$^2$" in latex
    assert not {"²", "×", "·"} & set(latex)


def test_too_little_for_a_front_or_a_line_makes_neither():
    records = [r for r in sized() if r.crop < 256]
    assert not growth(sizes(records), family_styles(tidy(records))).panels
    assert fitted_exponents(sizes(records)).empty
    assert len(frontier_table(tidy(records), looks(records)))
    two = [r for r in records if r.solver.startswith("deq")]
    assert frontier_table(tidy(two), looks(two)).empty


def test_looks_are_against_work_and_the_seconds_of_a_timed_step():
    def looked(factor):
        return {
            "look_steps": [5, 10],
            "look_psnr": [20.0 * factor, 25.0 * factor],
            "look_work": [100, 200],
            "psnr_trained": [25.0],
        }

    records = [
        record
        for (solver, error, work), factor in zip(SOLVERS, (0.9, 1.0, 1.1, 1.0), strict=True)
        for record in gradients("denoising(l1)", 64, 1, solver, error, work, **looked(factor))
    ]
    untimed = [r for r in records if r.key != "cdenoising-l1--64-1-deq-0-1-"]
    seen = looks(untimed)
    assert len(seen) == 8
    first = seen[seen["solver"] == "jfb(1)"]
    assert list(first["psnr"]) == pytest.approx([18.0, 22.5])
    assert list(first["work"]) == [100, 200]
    step = 1e-9 * 4 * 64**2 * 1.1
    assert list(first["seconds"]) == pytest.approx([5 * step, 10 * step])
    assert seen[seen["solver"] == "deq(0.1)"]["seconds"].isna().all()
    work, seconds = psnr_against_work(seen, family_styles(seen)).panels
    lines = [next(layer.rows for layer in panel.layers if layer.kind == "lines") for panel in (work, seconds)]
    assert [rows["solver"].nunique() for rows in lines] == [4, 3]


@pytest.mark.slow
def test_the_same_records_give_the_same_bytes_of_fronts_growth_and_looks(tmp_path):
    records = [r for r in sized() if r.batch == 1 and r.task != "denoising(l1)"]
    for i, record in enumerate(records):
        looked = {"look_steps": [5], "look_psnr": [20.0 + i], "look_work": [100 + i]}
        record.values.update(looked if record.kind == "quality" and record.crop == 64 else {})
    contents = []
    for name in ("a", "b"):
        run = folder_of(records, tmp_path / name)
        contents.append({f.relative_to(run): f.read_bytes() for f in write_report(run)})
    assert contents[0] == contents[1]
    names = {f.name for f in contents[0]}
    for wanted in ("pareto.md", "pareto.csv", "pareto.png", "growth.md", "growth.csv", "growth.png"):
        assert wanted in names
    assert "psnr-against-work.png" in names
    # Nothing was trained to a depth, let alone past it.
    assert names.isdisjoint({"psnr-against-depth.png", "psnr-past-depth.png"})


def test_the_tidy_table_has_a_row_a_cell_and_no_holes(frame):
    assert len(frame) == 12
    assert list(frame["status"].unique()) == ["ok"]
    # Nothing in the tiny profile certifies itself, and a CPU has no second peak.
    missing = frame[[c.name for c in COLUMNS]].isna().any()
    assert set(missing[missing].index) == {"certified", "peak_requested_mib"}
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
    text, best = printable(summarise(frame), "denoising(l1)")
    errors = (
        summarise(frame).query("task == 'denoising(l1)'")["hypergradient_error_worst"].reset_index(drop=True)
    )
    assert list(best["gradient error"]) == [i == errors.idxmin() for i in range(3)]
    assert "**" in table_markdown(text, best)
    latex = to_latex(text, best, "denoising(l1)")
    for word in (r"\toprule", r"\textbf{", r"restarted\_jfb(2, 3)", r"$\pm$", r"$\times$ floor"):
        assert word in latex
    assert "±" not in latex
    assert "×" not in latex


def test_an_error_below_the_references_own_is_not_ranked(frame):
    errors = [name for name in frame if name.startswith("hypergradient_error")]
    frame.loc[frame["solver"] == "unrolled(2)", errors] = 1e-13
    frame.loc[frame["solver"] == "deq(1e-08)", errors] = 3e-12
    frame = frame.assign(oracle_error=math.nan)
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
    assert list(failed["seeds"]) == [2, 2], "those of the task"
    assert list(failed["psnr_seeds"]) == [1, 1]
    assert list(failed["failed"]) == [1, 1]
    assert "(1 of 2)" in text
    assert not failed["psnr"].isna().any()


def test_a_run_in_which_everything_failed_still_has_tables(tiny_run, tmp_path):
    def fail(record):
        record |= {"status": "error", "reason": "RuntimeError: x", "values": {}}

    run = edited(tiny_run, tmp_path / "run", fail)
    assert {f.suffix for f in write_report(run)} == {".md", ".csv", ".tex", ".bib", ".parquet", ".html"}


@pytest.mark.figures
def test_the_same_records_give_the_same_bytes(tiny_run, tmp_path):
    contents = []
    for name in ("a", "b"):
        shutil.copytree(tiny_run, tmp_path / name)
        files = write_report(tmp_path / name)
        contents.append({f.relative_to(tmp_path / name): f.read_bytes() for f in files})
    assert contents[0] == contents[1]
    names = {f.name for f in contents[0]}
    assert {"tables.md", "cells.csv", "summary.csv", "denoising-l1.tex"} <= names
    assert ", by a proven bound." in (tmp_path / "a" / "tables" / "tables.md").read_text()
    assert {"records.parquet", "cells.parquet", "references.bib"} <= names
    for figure in (
        "error-against-cost",
        "psnr-against-depth",
        "memory-against-depth",
        "panels-denoising-huber",
    ):
        assert {f"{figure}.png", f"{figure}.pdf", f"{figure}.svg"} <= names


def test_the_csv_and_the_parquet_hold_every_cell(tiny_run, tmp_path, frame):
    write_tables(frame, tmp_path)
    write_parquet(load(tiny_run), frame, Store(tiny_run).manifest(), tmp_path)
    again = pd.read_csv(tmp_path / "cells.csv")
    assert len(again) == len(frame)
    assert again["hypergradient_error"].to_numpy() == pytest.approx(frame["hypergradient_error"].to_numpy())
    whole = pd.read_parquet(tmp_path / "cells.parquet")
    pd.testing.assert_frame_equal(whole, frame, check_dtype=False, check_exact=True)


@pytest.mark.usefixtures("without_figures")
@pytest.mark.misuse(
    "vl-convert-python is missing (a machine without a network)",
    "right: a report without the page, and says so",
)
def test_without_what_draws_its_plots_there_is_no_page(tiny_run, tmp_path, monkeypatch, capsys):
    shutil.copytree(tiny_run, tmp_path / "run")
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "vl_convert" else found(name)
    )
    assert entry(["report", str(tmp_path / "run")]) == 0
    said = capsys.readouterr()
    assert "tables.md" in said.out
    assert "no page: vl-convert-python is missing; 'python -m bench report" in said.err
    profile = str(tiny_run.parent / "tiny.toml")
    assert entry(["run", profile, "--out", str(tmp_path / "run"), "--device", "cpu"]) == 0
    assert "no page: vl-convert-python is missing" in capsys.readouterr().err
    assert not (tmp_path / "run" / "index.html").exists()
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    _vega.cache_clear()
    with pytest.raises(UserError, match="a page needs vl-convert-python: install it"):
        _vega()


def test_a_folder_without_a_run_is_a_clear_line(tmp_path):
    with pytest.raises(UserError, match="holds no run: make one with"):
        load(tmp_path)


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
    assert first["at 100 ×"] == "diverged on 1 of 2"
    assert not best.iloc[0]["at 100 ×"]
    assert best["at 100 ×"].any()
    assert text.iloc[1]["T at its equilibrium"].startswith("contractive (L = 0.4")
    assert text.iloc[1]["residual stalls"] == "no"
    write_report(run)
    assert (run / "figures" / "psnr-past-depth.png").stat().st_size > 5000
    assert "diverged" in (run / "tables" / "tables.md").read_text()


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


def seeds(*cells):
    """Of ``(solver, seed, PSNR at equilibrium, PSNR at 10 times the depth)``."""
    rest = {"task": "t", "crop": 8, "batch": 1, "heading": "t", "status": "ok", "contraction": 0.9}
    rows = [
        dict(zip(("solver", "seed", "psnr_equilibrium", "psnr_10"), cell, strict=True)) | rest
        for cell in cells
    ]
    frame = pd.DataFrame(rows)
    names = {column.name for column in (*COLUMNS, *PAST)} | {"step_iqr_ms", "floor_iqr"}
    return frame.assign(**dict.fromkeys(names - set(frame), math.nan))


@pytest.mark.misuse("a seed of two finds no equilibrium", "right: its mean says 1 of 2, and is never in bold")
def test_a_mean_says_how_many_seeds_it_is_of_and_is_not_the_best():
    """Audit 12: who loses the worse seed has the higher mean."""
    frame = seeds(
        ("a(1)", 0, 30.0, 1.0), ("a(1)", 1, math.nan, 1.0), ("b(1)", 0, 29.0, 1.0), ("b(1)", 1, 19.0, 1.0)
    )
    text, best = printable(summarise(frame), "t")
    assert list(text["PSNR at eq. (dB)"]) == ["30.00 (1 of 2)", "24.00 ± 7.07"]
    assert list(best["PSNR at eq. (dB)"]) == [False, True]


@pytest.mark.misuse(
    "a solver ran on fewer seeds than the others", "right: its means say on how many, and are never in bold"
)
def test_a_seed_that_was_not_run_is_missing_too():
    frame = seeds(("a(1)", 0, 30.0, 1.0), ("b(1)", 0, 29.0, 1.0), ("b(1)", 1, 19.0, 1.0))
    text, best = printable(summarise(frame), "t")
    assert list(text["PSNR at eq. (dB)"]) == ["30.00 (1 of 2)", "24.00 ± 7.07"]
    assert not best["PSNR at eq. (dB)"].iloc[0]


def test_one_of_two_seeds_that_diverges_is_told():
    frame = seeds(
        ("a(1)", 0, 30.0, -math.inf),
        ("a(1)", 1, 30.0, 25.0),
        ("b(1)", 0, 30.0, -math.inf),
        ("b(1)", 1, 30.0, -math.inf),
    )
    text, _ = printable(summarise(frame), "t", PAST)
    assert list(text["at 10 ×"]) == ["diverged on 1 of 2", "diverged"]


def test_what_ties_with_the_best_seed_by_seed_is_marked_too():
    frame = seeds(
        *(("a(1)", s, 30.0 + s, 1.0) for s in (0, 1)),
        *(
            ("tie(1)", s, 30.5 - s, 1.0) for s in (0, 1)
        ),  # behind by 0.5 dB, of which the seeds disagree by 1.4
        *(("behind(1)", s, 29.9 + s, 1.0) for s in (0, 1)),  # by 0.1 dB on each
    )
    _, best = printable(summarise(frame), "t")
    assert list(best["PSNR at eq. (dB)"]) == [True, True, False]
    _, best = printable(summarise(frame[frame["seed"] == 0]), "t")
    assert not best["PSNR at eq. (dB)"].any(), "one seed shows no difference"


def test_an_error_is_told_with_its_range_and_ranked_by_the_largest(frame):
    drawn = seeds(("a(1)", 0, 1.0, 1.0), ("b(1)", 0, 1.0, 1.0)).assign(
        hypergradient_error=[0.005, 0.006],
        hypergradient_error_worst=[0.02, 0.007],
        hypergradient_error_least=0.004,
    )
    text, best = printable(summarise(drawn), "t")
    assert list(text["gradient error"]) == ["5.0e-03 (4.0e-03 to 2.0e-02)", "6.0e-03 (4.0e-03 to 7.0e-03)"]
    assert list(best["gradient error"]) == [False, True]


@pytest.mark.misuse(
    "errors lie below what is known of the reference", "right: told as below that, and not ranked"
)
def test_the_reference_says_how_good_it_is(tmp_path):
    drawn = seeds(("a(1)", 0, 1.0, 1.0), ("b(1)", 0, 1.0, 1.0)).assign(hypergradient_error=[1e-9, 2e-9])
    drawn = drawn.assign(psnr_measurement=math.nan, reason="", family="a", peer=False)
    write_tables(drawn, tmp_path)
    assert "residuals are known, below 1e-10, and not its error" in (tmp_path / "tables.md").read_text()
    write_tables(drawn.assign(oracle_error=3e-9, oracle_basis="estimate"), tmp_path)
    text = (tmp_path / "tables.md").read_text()
    assert "The reference gradient is itself within 3.0e-09, by an estimate." in text
    assert text.count("< 3e-09") == 2


def test_an_old_estimate_is_told_as_at_least_the_residuals_that_the_reference_leaves(tiny_run):
    """On an equilibrium among kinks it was 0."""
    record = next(r for r in load(tiny_run) if r.kind == "quality")
    for basis, expected in (("estimate", 4e-13), ("certificate; estimate", 4e-13), ("certificate", 0.0)):
        told = {"oracle_error": 0.0, "oracle_residual": 3e-16, "oracle_adjoint_residual": 4e-13}
        record.values.update(told | {"oracle_basis": basis})
        assert tidy([record])["oracle_error"].item() == expected


def test_the_bytes_requested_on_a_gpu_stand_beside_the_peak(tiny_run, frame):
    title = "peak requested (MiB)"
    assert title not in printable(summarise(frame), frame["heading"].iloc[0])[0], "a CPU has no second number"
    record = next(r for r in load(tiny_run) if r.kind == "quality")
    record.values.update(peak_bytes=3 * 2**20, peak_requested_bytes=5 * 2**19)
    row = tidy([record])
    assert (row["peak_mib"].item(), row["peak_requested_mib"].item()) == (3, 2.5)
    text, _ = printable(summarise(row), row["heading"].item())
    assert list(text[title]) == ["2.50"]


def test_a_gradient_that_diverged_on_one_draw_says_so():
    drawn = seeds(("a(1)", 0, 1.0, 1.0), ("b(1)", 0, 1.0, 1.0)).assign(
        hypergradient_error=[math.inf, 0.1],
        hypergradient_error_worst=[math.inf, 0.1],
        hypergradient_error_least=0.1,
    )
    text, best = printable(summarise(drawn), "t")
    assert list(text["gradient error"]) == ["diverged on a draw", "1.0e-01"]
    assert list(best["gradient error"]) == [False, True]
