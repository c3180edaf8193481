"""The pages of the gallery are those of its scripts, which print what the pages show."""

from __future__ import annotations

import pytest

from bench.studies import gallery
from bench.studies.gallery import FOLDER, NAMES, example_page, index_page, read_example, run_example
from bench.utils.errors import UserError
from tests.docs.pages import agree, snippets

SLOW = {"three_trainings", "plug_and_play"}
"""Scripts with a DRUNet: half a minute of a core."""
LINES = 60


def page(name: str) -> str:
    return (FOLDER / f"{name}.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_a_page_is_that_of_its_script(name):
    (snippet,) = snippets(FOLDER / f"{name}.md")
    assert page(name) == example_page(read_example(name), snippet.output)
    assert len((FOLDER / f"{name}.py").read_text(encoding="utf-8").splitlines()) <= LINES
    assert (FOLDER / "figures" / f"{name}.png").is_file()


@pytest.mark.process
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in NAMES]
)
def test_a_script_prints_what_its_page_shows(name, tmp_path):
    (snippet,) = snippets(FOLDER / f"{name}.md")
    printed = run_example(name, tmp_path)
    assert agree(printed, snippet.output), printed


def test_the_gallery_lists_every_script():
    assert sorted(NAMES) == sorted(file.stem for file in FOLDER.glob("*.py"))
    assert page("gallery") == index_page([read_example(name) for name in NAMES])


@pytest.mark.process
@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("raise ValueError('no image')", "it.py ends with exit code 1: ValueError: no image"),
        ("print(1)", "it.py draws no it.png"),
    ],
)
def test_a_script_that_fails_or_draws_nothing_is_one_line(tmp_path, monkeypatch, code, words):
    monkeypatch.setattr(gallery, "FOLDER", tmp_path)
    (tmp_path / "it.py").write_text(code, encoding="utf-8")
    with pytest.raises(UserError, match=words):
        run_example("it", tmp_path)


def test_an_unknown_script_is_one_line(tmp_path, capsys):
    assert gallery.entry(["--out", str(tmp_path), "--only", "nothing"]) == 2
    assert "no script 'nothing'" in capsys.readouterr().err
