"""A terminal: nothing but errors to who asks for quiet, one JSON object, no colours where they are refused."""

from __future__ import annotations

import json
import re
import shutil

import pytest
from rich.console import Console

from bench.__main__ import entry
from bench.command import console

COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture
def finished(tiny_run, tmp_path):
    """A run that is over, and its profile."""
    shutil.copytree(tiny_run, tmp_path / "out")
    return str(tiny_run.parent / "tiny.toml"), tmp_path / "out"


@pytest.fixture(autouse=True)
def loud():
    yield
    console.quiet = False


def test_a_quiet_run_says_nothing_and_its_json_is_one_object(finished, capsys):
    profile, out = finished
    assert entry(["run", profile, "--out", str(out), "--device", "cpu", "--quiet", "--json"]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    found = json.loads(said.out)
    assert found["out"] == str(out)
    assert found["cells"] == {"stored": 18}
    assert found["failed"] == 0
    assert str(out / "index.html") in found["files"]


def test_a_run_says_where_its_page_is(finished, capsys):
    profile, out = finished
    assert entry(["run", profile, "--out", str(out), "--device", "cpu"]) == 0
    said = capsys.readouterr()
    assert "18 stored" in said.err
    assert str(out / "index.html") in said.err
    assert said.out == ""


def test_a_quiet_run_says_what_is_wrong(tmp_path, capsys):
    assert entry(["run", "qick", "--out", str(tmp_path / "out"), "--quiet"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "quick" in line


@pytest.mark.parametrize("refused", [True, False])
def test_colours_are_left_out_where_they_are_refused(refused, monkeypatch):
    # The same kind of console as the command's, made when the variable is there.
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    if refused:
        monkeypatch.setenv("NO_COLOR", "1")
    made = Console(stderr=True)
    with made.capture() as captured:
        made.print("3 cells failed", style="red")
    assert ("31" in "".join(COLOUR.findall(captured.get()))) is not refused
