"""The leaderboard on the terminal, as JSON, and as the committed page of the docs."""

from __future__ import annotations

import json
import re
import shlex

import pytest

from bench.__main__ import entry
from bench.utils.provenance import ROOT

PAGE = ROOT / "docs" / "leaderboard.md"


def test_the_committed_page_is_the_one_that_its_command_makes(tmp_path, monkeypatch):
    text = PAGE.read_text(encoding="utf-8")
    words = shlex.split(re.search(r"`python -m bench (leaderboard .*) --out docs`", text)[1])
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").symlink_to(ROOT / "results")
    assert entry([*words, "--out", "docs"]) == 0
    assert (tmp_path / "docs" / "leaderboard.md").read_text(encoding="utf-8") == text


def test_a_run_is_ranked_on_the_terminal_and_as_json(run, capsys):
    assert entry(["leaderboard", str(run)]) == 0
    shown = capsys.readouterr()
    assert "mean place" in shown.out
    assert "A solver's score is its mean place" in shown.err
    assert entry(["leaderboard", str(run), "--json"]) == 0
    ((folder, rows),) = json.loads(capsys.readouterr().out).items()
    assert folder == str(run)
    assert [row["rank"] for row in rows] == sorted(row["rank"] for row in rows)


def test_no_run_is_one_line(tmp_path, capsys):
    assert entry(["leaderboard", str(tmp_path / "nothing")]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


@pytest.mark.parametrize("word", ["Leaderboard", "mean place", "tasks within 1 %, stable"])
def test_the_page_of_a_run_has_the_ranking(run, word):
    assert word in (run / "index.html").read_text(encoding="utf-8")
