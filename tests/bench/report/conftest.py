"""Tables of the tiny run."""

from __future__ import annotations

import pytest

from bench.analysis.tidy import tidy
from bench.records.store import load
from bench.report.report import write_report
from tests.helpers.cells import some_cells
from tests.helpers.records import folder_of


@pytest.fixture
def frame(tiny_run):
    return tidy(load(tiny_run))


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """A folder of ``some_cells`` with its report; do not write into it."""
    folder = folder_of(some_cells(), tmp_path_factory.mktemp("made") / "a run")
    write_report(folder)
    return folder
