"""A report is a pure function of records."""

from __future__ import annotations

import importlib.util
import shutil
import sys

import pandas as pd
import pytest

from bench.__main__ import entry
from bench.analysis.tidy import tidy
from bench.records.store import Store, load

# Not public: a cache that is cleared, so that the package is looked for again.
from bench.report.page.render import _vega
from bench.report.parquet import render_parquet
from bench.report.report import write_files, write_report
from bench.report.summary import summarise
from bench.report.tables import render_tables
from bench.utils.errors import UserError
from tests.helpers.records import edited, folder_of, sized


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
    manifest = Store(tiny_run).manifest()
    write_files(
        tmp_path, render_tables(frame, summarise(frame)) | render_parquet(load(tiny_run), frame, manifest)
    )
    again = pd.read_csv(tmp_path / "tables" / "cells.csv")
    assert len(again) == len(frame)
    assert again["hypergradient_error"].to_numpy() == pytest.approx(frame["hypergradient_error"].to_numpy())
    whole = pd.read_parquet(tmp_path / "tables" / "cells.parquet")
    pd.testing.assert_frame_equal(whole, frame, check_dtype=False, check_exact=True)


@pytest.mark.process
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
