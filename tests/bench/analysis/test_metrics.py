"""The registry of metrics is the one place for a measured quantity."""

from __future__ import annotations

import io

import pandas as pd
import pyarrow.parquet as pq
import pytest

from bench.analysis import metrics
from bench.analysis.metric import Column, Metric, Table, Tolerance
from bench.analysis.tidy import tidy
from bench.comparison import Aspect, Outcome, StoredRun, compare_runs, tables
from bench.records.store import Manifest
from bench.report.benchopt_export import benchopt_rows, objective_description
from bench.report.page.tables import results_table
from bench.report.parquet import render_parquet
from bench.report.summary import summarise
from bench.report.tables import render_tables
from bench.utils.provenance import ROOT
from tests.helpers.records import gradients
from theory_checks.report.docs_pages import pages

STRAY = Metric(
    "stray_light",
    "Light that reached the detector by another way.",
    title="stray light",
    unit="lx",
    format=".1f",
    results=Column(99, hidden=True),
    better="lower",
    tolerance=Tolerance(absolute=0.1),
    aspect="memory",
    benchopt="stray_light",
)


def records(light):
    """Two cells whose records hold a number of which no code knows."""
    return [
        record
        for solver, value in (("jfb(1)", light), ("jfb(2)", 7.0))
        for record in gradients("denoising(l1)", 64, 1, solver, 0.5, 4, stray_light=value)
    ]


@pytest.fixture
def added(monkeypatch):
    monkeypatch.setattr(metrics, "METRICS", (*metrics.METRICS, STRAY))


@pytest.mark.usefixtures("added")
def test_one_entry_puts_a_quantity_into_tables_exports_and_docs():
    frame = tidy(records(3.0))
    assert list(frame["stray_light"]) == [3.0, 7.0]
    summary = summarise(frame)
    files = render_tables(frame, summary)
    header, _, first, second = files["tables/tables.md"].splitlines()[4:8]
    column = [title.strip() for title in header.split("|")].index("stray light (lx)")
    assert [line.split("|")[column].strip() for line in (first, second)] == ["**3.0**", "7.0"]
    assert f"- *stray light (lx)*: {STRAY.explanation}" in files["tables/tables.md"]
    assert "stray light (lx)" in files["tables/denoising-l1.tex"]
    assert list(pd.read_csv(io.StringIO(files["tables/summary.csv"]))["stray_light"]) == [3.0, 7.0]
    cells = render_parquet(records(3.0), frame, Manifest("made", "", "i", "cpu", []))["tables/cells.parquet"]
    assert pq.read_table(io.BytesIO(cells))["stray_light"].to_pylist() == [3.0, 7.0]

    page = results_table(summary)
    (index,) = [i for i, head in enumerate(page.heads) if head.title == "stray light (lx)"]
    assert (page.heads[index].shown, page.heads[index].number) == (False, True)
    assert [(row[index].text, row[index].key, row[index].best) for row in page.rows] == [
        ("3.0", 3.0, True),
        ("7.0", 7.0, False),
    ]

    assert list(benchopt_rows(records(3.0))["objective_stray_light"]) == [3.0, 7.0]
    assert f"objective_stray_light, lx: {STRAY.explanation}" in objective_description()
    docs = pages(ROOT / "docs")[ROOT / "docs" / "tables.md"]
    assert f"| **stray light (lx)** | `stray_light` | {STRAY.explanation} Lower is better. |" in docs


@pytest.mark.usefixtures("added")
def test_one_entry_has_a_quantity_compared():
    run, reference = StoredRun("a", tuple(records(3.5))), StoredRun("b", tuple(records(3.0)))
    (comparison,) = compare_runs(run, [reference])
    moved = {(c.part, c.quantity): c for c in comparison.changes if not c.quiet}
    assert set(moved) == {(Aspect.VALUES, "stray_light"), (Aspect.MEMORY, "stray light, lx")}
    assert moved[Aspect.VALUES, "stray_light"].why == "beyond the tolerance: 0.1"
    assert moved[Aspect.MEMORY, "stray light, lx"].verdict == Outcome.WORSE
    table = tables.comparison_table([comparison], Aspect.MEMORY, moved_only=True)
    assert table.frame()["what"].tolist() == ["stray light, lx"]


def test_entries_are_whole():
    names = [metric.name for metric in metrics.METRICS]
    assert len(set(names)) == len(names)
    for table in Table:
        in_table = metrics.in_table(table)
        assert len({metric.column(table).position for metric in in_table}) == len(in_table)
        assert len({metric.heading(table) for metric in in_table}) == len(in_table)
        assert all(metric.heading(table) for metric in in_table)
    for metric in metrics.METRICS:
        assert metric.explanation.endswith("."), metric.name
        assert metric.spread in ("", *names)
        assert bool(metric.title) or not (metric.results or metric.depth or metric.aspect or metric.benchopt)
