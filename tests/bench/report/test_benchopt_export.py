"""Exports in benchopt's layout."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace

import pytest

from bench.__main__ import entry
from bench.report.benchopt_export import OUTCOME, TRAINING, benchopt_rows, objective_description, objectives
from tests.helpers.cells import cell, some_cells
from tests.helpers.commands import refused
from tests.helpers.records import folder_of


def test_rows_are_those_of_benchopt():
    frame = benchopt_rows(some_cells())
    once, curves = frame[frame["objective_name"] == OUTCOME], frame[frame["objective_name"] == TRAINING]
    assert len(once) == 4
    first = once.iloc[0]
    assert (first["dataset_name"], first["solver_name"], first["idx_rep"]) == ("deblurring(l1)", "jfb(10)", 0)
    assert (first["stop_val"], first["time"]) == (4, 2.0)
    assert (first["objective_value"], first["objective_psnr"]) == (0.25, 21.0)
    assert first["solver_description"]
    assert once["sampling_strategy"].eq("Run_once").all()
    assert list(curves["stop_val"]) == [1, 2, 4]
    assert list(curves["time"]) == [0.5, 1.0, 2.0]
    assert list(curves["objective_psnr"].fillna(0)) == [15.0, 0.0, 21.5]
    at_the_end = [name for name in objectives() if name in frame and name != "objective_psnr"]
    assert len(at_the_end) > 3
    assert curves[at_the_end].isna().all(axis=None), "what is known at the end alone is not on a curve"
    assert set(curves["idx_rep"]) == {0}
    assert "objective_ssim" not in frame, "nothing of it was measured"
    assert {name for name in frame if name.startswith("objective_")} <= {*objectives(), "objective_name"}
    assert next(iter(objectives())) == "objective_value", "what benchopt shows first"
    assert first["obj_description"] == objective_description()
    assert "objective_psnr, dB: Mean PSNR of the test images" in objective_description()
    assert not frame["solver_name"].eq("deq(1e-05)").any(), "it failed"


def test_what_was_not_timed_or_trained_is_exported_all_the_same():
    (quality, _) = cell("deblurring(l1)", "jfb(10)")
    quality.settings["training"]["steps"] = 0
    (row,) = benchopt_rows([quality]).to_dict("records")
    assert (row["stop_val"], row["time"]) == (1, pytest.approx(float("nan"), nan_ok=True))
    timed = benchopt_rows([quality, cell("deblurring(l1)", "jfb(10)")[1]])
    assert list(timed["time"]) == [0.5], "of one step"
    assert "version-numpy" in benchopt_rows([replace(quality, provenance={})]), "benchopt asks for it"


@pytest.mark.process
def test_benchopt_plots_what_was_exported(run, tmp_path):
    out = tmp_path / "plots"
    assert entry(["export", str(run), "--benchopt", str(out)]) == 0
    assert [file.name for file in (out / "outputs").iterdir()] == ["a-run.parquet"]
    before = (out / "outputs" / "a-run.parquet").read_bytes()
    assert entry(["export", str(run), "--benchopt", str(out)]) == 0
    assert (out / "outputs" / "a-run.parquet").read_bytes() == before
    done = subprocess.run(
        [sys.executable, "-m", "benchopt", "plot", str(out), "--no-display"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"HOME": str(tmp_path)},
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    page = (out / "outputs" / "eqgrad_a-run.html").read_text()
    (plots,) = re.findall(r"window\._plots = (\{.*\});", page)
    found = json.loads(plots)
    curve = found["objective_curve"][f"objective_curve_deblurring(l1)_{TRAINING}_objective_psnr_Time"]
    (line,) = curve["data"]
    assert (line["label"], line["x"]) == ("jfb(10)", [0.5, 1.0, 2.0])
    boxes = found["boxplot"][f"boxplot_deblurring(l1)_{OUTCOME}_objective_value_Solver_Objective Metric"]
    assert {box["label"]: sorted(box["y"][0]) for box in boxes["data"]} == {
        "jfb(10)": [0.25, 0.3],
        "restarted_jfb(2, 3)": [0.25],
    }
    table = found["table"][f"table_inpainting(drunet)_{OUTCOME}"]
    assert [row[0] for row in table["data"]] == ["jfb(10)"]
    assert "Linux" in page


def test_runs_share_a_folder_and_nothing_else_is_overwritten(run, tmp_path, capsys):
    other = folder_of(cell("deblurring(l1)", "jfb(1)"), tmp_path / "second")
    for folder in (run, other):
        assert entry(["export", str(folder), "--benchopt", str(tmp_path / "out")]) == 0
    assert {file.stem for file in (tmp_path / "out" / "outputs").iterdir()} == {"a-run", "second"}
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "objective.py").write_text("class Objective: pass\n")
    (tmp_path / "file").write_text("")
    failed = folder_of(some_cells()[-1:], tmp_path / "failed")
    capsys.readouterr()
    for folder, out, message in (
        (run, "theirs", "holds another benchmark: choose another folder"),
        (run, "file", "is a file: choose a folder"),
        (failed, "new", "there is nothing to plot"),
        (tmp_path / "theirs", "new", "holds no run"),
    ):
        assert message in refused(capsys, ["export", str(folder), "--benchopt", str(tmp_path / out)])
    assert (tmp_path / "theirs" / "objective.py").read_text() == "class Objective: pass\n"
    assert not (tmp_path / "new").exists()
