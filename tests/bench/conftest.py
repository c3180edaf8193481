"""One real run of a tiny profile, shared by the tests that read a folder of records."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from bench.config.matrix import load_profile
from bench.execution.runner import run_profile
from bench.report import figure_style
from bench.utils.file_locks import file_lock
from tests.helpers.profiles import TINY


@pytest.fixture(autouse=True)
def png_alone(request, monkeypatch):
    """Half of the time of a report is that of its figures, drawn three times."""
    if not request.node.get_closest_marker("figures"):
        monkeypatch.setattr(figure_style, "METADATA", {"png": figure_style.METADATA["png"]})


@pytest.fixture
def without_figures(monkeypatch):
    """For what is asked of the rest of a report: figures are most of its time."""
    monkeypatch.setattr("bench.report.figures.render_figures", lambda *parts: {})


@pytest.fixture
def tiny_file(tmp_path) -> Path:
    """The tiny profile as a file."""
    file = tmp_path / "tiny.toml"
    file.write_text(TINY)
    return file


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory) -> Path:
    """A folder with a finished run of the tiny profile, made by the first worker that asks; do not write into it."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "tiny-run"
    folder.mkdir(exist_ok=True)
    file, made = folder / "tiny.toml", folder / "made"
    with file_lock(folder / "lock", wait=True):
        if not made.exists():
            file.write_text(TINY)
            outcome = run_profile(load_profile(str(file)), folder / "out", device=torch.device("cpu"), jobs=2)
            assert outcome == {"stored": 0, "ok": 18}
            made.touch()
    return folder / "out"
