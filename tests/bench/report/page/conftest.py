"""Pages of runs, and Chromium to open them from a file."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

from bench.report.page import render_page
from bench.report.run_data import read_run
from tests.helpers.page import QUICK, varied, write_page
from tests.helpers.records import folder_of

OWN = ("file:", "data:", "blob:")


@pytest.fixture(scope="session")
def browser():
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.fail("no Chromium on the PATH: apt-get install chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield started
        started.close()


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


@pytest.fixture
def opened(browser):
    """Opens a file, and holds in the end that the page said, asked for and alerted nothing."""
    contexts, said = [], []

    def visit(file: Path, **settings) -> Page:
        context = browser.new_context(reduced_motion="reduce", **settings)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: (said.append(f"dialog {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda request: None if request.url.startswith(OWN) else said.append(request.url))
        page.goto(file.as_uri())
        return page

    yield visit
    for context in contexts:
        context.close()
    assert said == []
