"""The plugin for pytest: a test for each claim, and the lines of docs/ci.md."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys

import pytest

from bench.utils.provenance import ROOT
from tests.docs.pages import snippets

pytestmark = pytest.mark.process
PAGE = ROOT / "docs" / "ci.md"
(CONTRACTION,) = snippets(ROOT / "docs" / "claims.md")
LINES = [
    line
    for block in re.findall(
        r"^```yaml\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    for line in re.findall(r"^ *- (?:run: )?((?:\w+=\S+ )?python -m \w+ .*)$", block, re.MULTILINE)
]


def run(words, folder):
    done = subprocess.run(
        [sys.executable, *words], cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )
    return done.returncode, done.stdout + done.stderr


def plugin(folder, *words):
    return run(
        ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "theory_checks.pytest_plugin", *words], folder
    )


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A folder with the operator of docs/claims.md, and this checkout on the path."""
    (tmp_path / "contraction.py").write_text(CONTRACTION.code, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return tmp_path


def test_each_claim_is_a_test(home):
    code, text = plugin(home, "--eqgrad", "./contraction.py:make", "-rs")
    assert code == 0, text
    assert "7 passed, 7 skipped" in text
    assert "M_J or M_B is not known" in text


def test_a_wrong_constant_fails_in_two_lines(home):
    wrong = CONTRACTION.code.replace("L=0.45", "L=0.3")
    assert wrong != CONTRACTION.code
    (home / "wrong.py").write_text(wrong, encoding="utf-8")
    code, text = plugin(home, "--eqgrad", "./wrong.py:make")
    assert code == 1, text
    assert "L = 0.3 is stated, but" in text
    assert "Traceback" not in text


def test_a_missing_file_is_one_line(home):
    code, text = plugin(home, "--eqgrad", "./absent.py:make")
    assert code == 4, text
    assert "ERROR: --eqgrad ./absent.py:make" in text


def test_the_page_has_a_line_for_each_service():
    assert len([line for line in LINES if "--eqgrad" in line]) == 2


@pytest.mark.parametrize("line", [line for line in LINES if "-m pip" not in line])
def test_the_lines_of_the_page_run(line, home, monkeypatch):
    (home / "eqgrad").symlink_to(ROOT)
    words = shlex.split(line)
    while "=" in words[0]:
        name, _, value = words.pop(0).partition("=")
        monkeypatch.setenv(name, value)
    assert words.pop(0) == "python"
    code, text = run(words, home)
    assert code == 0, text
    assert any(file.stat().st_size > 200 for file in home.glob("*.xml"))
