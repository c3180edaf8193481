"""The documentation as a site: built and read without network, searchable, on a phone too."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from bench.utils.provenance import ROOT
from tests.docs.pages import PAGES, name

pytestmark = pytest.mark.process
VIEWS = ("index", "docs/choosing", "docs/api", "docs/tables", "docs/gallery/gallery", "docs/gallery/mri")
ELSEWHERE = re.compile(r"""<(?:script|link|img|iframe)\b[^>]*(?:src|href)="?(https?:)?//""")


def build(target: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(target), *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="session")
def site(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = build(folder)  # mkdocs.yml is strict: a broken link, or a page outside the navigation, ends it
    assert done.returncode == 0, done.stderr
    return folder


def test_every_page_of_the_docs_is_in_the_navigation(site):
    home = (site / "index.html").read_text(encoding="utf-8")
    for page in (page for page in PAGES if name(page) != "README.md"):
        target = name(page).removesuffix(".md") + ".html"
        assert (site / target).is_file()
        assert f'href="{target}"' in home, target


def test_no_page_loads_anything_from_elsewhere(site):
    for page in site.rglob("*.html"):
        assert not ELSEWHERE.search(page.read_text(encoding="utf-8")), page


@pytest.mark.browser
@pytest.mark.parametrize("view", ["index", "docs/choosing"])
def test_the_search_finds_a_page_from_files(site, opened, view):
    page = opened(site / f"{view}.html", viewport={"width": 1300, "height": 900})
    page.locator(".md-search__input").click()
    page.keyboard.type("Shepp")
    page.wait_for_selector(".md-search-result__item")
    assert "Measurements" in page.locator(".md-search-result").inner_text()


@pytest.mark.browser
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("width", [1200, 390])
def test_a_page_does_not_scroll_sideways_and_shows_its_pictures(site, opened, view, width):
    page = opened(site / f"{view}.html", viewport={"width": width, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
