"""The Python of every page runs, block after block, and prints what stands below it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bench.utils.provenance import ROOT
from tests.docs.pages import PAGES, agree, name, snippets

ELSEWHERE = {
    "docs/deepinv.md": "tests/test_wheel_page.py",  # where only the wheel is installed
    # test_gallery.py runs those of docs/gallery.
    "docs/certificates.md": "tests/bench/measurement/test_trainer.py",
}
"""Pages whose snippets another test runs, for it needs what they leave behind."""
FILES = {
    "docs/claims.md": "tests/theory_checks/operators/test_user_operator.py",
    "docs/adding.md": "docs/examples/broyden.py",
}
"""Pages whose snippets are a file of the reader's, or lines of one that is run."""


@pytest.mark.parametrize(
    "page",
    [
        page
        for page in PAGES
        if snippets(page) and name(page) not in {*ELSEWHERE, *FILES} and page.parent.name != "gallery"
    ],
    ids=name,
)
def test_the_snippets_of_a_page_run_and_print_what_it_shows(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "mine").symlink_to(ROOT / "results" / "reference" / "quick-cpu")
    names: dict[str, object] = {"__name__": "page"}
    for snippet in snippets(page):
        capsys.readouterr()
        # So that a traceback shows the line of the page.
        code = "\n" * snippet.line + snippet.code
        exec(compile(code, str(page), "exec", dont_inherit=True), names)
        printed = capsys.readouterr().out
        if snippet.output is not None:
            assert agree(printed, snippet.output), printed


@pytest.mark.parametrize(("page", "test"), ELSEWHERE.items())
def test_what_is_run_elsewhere_is_run_there(page, test):
    assert Path(page).name in Path(test).read_text(encoding="utf-8")


def test_other_figures_and_other_words_would_be_seen():
    assert agree("off by 1.01 %, 8.7e-08\n", "off by 1.00 %, 2.1e-07")
    assert not agree("off by 1.10 %", "off by 1.00 %")
    assert not agree("off by 1.00 %", "wrong by 1.00 %")
    assert not agree("1 2", "1")
