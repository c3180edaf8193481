"""The plugin for pytest, in a checkout: a test for each claim. tests/test_installed.py has that of the wheel."""

from __future__ import annotations

import subprocess
import sys

import pytest

from bench.utils.provenance import ROOT
from tests.docs.pages import snippets

pytestmark = pytest.mark.process
(CONTRACTION,) = snippets(ROOT / "docs" / "claims.md")


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
