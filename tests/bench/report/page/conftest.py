"""Pages of runs, and Chromium to open them."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.report.page import render_page
from bench.report.run_data import read_run
from tests.helpers.browser import browser, opened
from tests.helpers.page import QUICK, varied, write_page
from tests.helpers.records import folder_of

__all__ = ["browser", "opened"]


@pytest.fixture(scope="session")
def quick_run():
    return read_run(QUICK)


@pytest.fixture(scope="session")
def quick(tmp_path_factory, quick_run) -> Path:
    file = tmp_path_factory.mktemp("quick") / "index.html"
    file.write_bytes(render_page(quick_run)["index.html"])
    return file


@pytest.fixture(scope="session")
def made(tmp_path_factory) -> Path:
    return write_page(folder_of(varied(), tmp_path_factory.mktemp("made") / "run"))
