"""Tables of a report: columns, headings and marks."""

from __future__ import annotations

import math

import pytest

from bench.analysis import metrics
from bench.analysis.metric import Table
from bench.analysis.pareto import frontier_table
from bench.analysis.scaling import fitted_exponents, sizes
from bench.analysis.tidy import looks, tidy
from bench.records.store import load
from bench.report.family_style import family_styles
from bench.report.plots import growth
from bench.report.summary import printable, summarise
from bench.report.tables import render_tables, table_markdown, to_latex
from tests.helpers.records import SOLVERS, sized


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


def test_what_was_not_measured_has_no_column_no_table_and_no_legend():
    frame = tidy(sized())
    files = render_tables(frame, summarise(frame))
    text = files["tables/tables.md"].partition("— was not measured")[0]
    assert "PSNR" not in text
    assert "Past the trained depth" not in text
    assert "measurement itself" not in text
    assert "nan" not in text
    text, legend = text.split("\n---\n")
    assert "- *gradient error*: Relative error" in legend
    with_errors, without = text.split("## denoising(l1)")
    assert with_errors.count("gradient error") == 4
    assert "gradient error" not in without
    assert "There is no reference gradient" in without
    latex = files["tables/deblurring-huber-64-2.tex"]
    assert "tables/denoising-l1.tex" in files
    assert "64$^2$" in latex
    assert not {"²", "×", "·"} & set(latex)


def test_too_little_for_a_front_or_a_line_makes_neither():
    records = [r for r in sized() if r.crop < 256]
    assert not growth(sizes(records), family_styles(tidy(records))).panels
    assert fitted_exponents(sizes(records)).empty
    assert len(frontier_table(tidy(records), looks(records)))
    two = [r for r in records if r.solver.startswith("deq")]
    assert frontier_table(tidy(two), looks(two)).empty


def test_the_tidy_table_has_a_row_a_cell_and_no_holes(frame):
    assert len(frame) == 12
    assert list(frame["status"].unique()) == ["ok"]
    # Nothing in the tiny profile certifies itself, a CPU has no second peak, and Anderson does not say what it holds.
    missing = frame[[m.name for m in metrics.in_table(Table.RESULTS)]].isna().any()
    assert set(missing[missing].index) == {"adjoint_vectors", "certified", "peak_requested_mib"}
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
    for word in (r"\toprule", r"\textbf{", r"restarted\_jfb(2, 3)", r"$\pm$", r"$\times$ bare loop"):
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
