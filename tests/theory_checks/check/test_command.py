"""The command ``check``: exit codes and messages."""

from __future__ import annotations

import json

import pytest

from bench.utils.provenance import ROOT
from tests.helpers.commands import refused
from theory_checks.__main__ import entry

EXAMPLES = ROOT / "docs" / "examples"


def test_the_command_exits_with_1_where_something_fails(tmp_path, capsys):
    file = tmp_path / "mine.py"
    text = (EXAMPLES / "broyden.py").read_text()
    file.write_text(text)
    assert entry(["check", f"{file}:broyden(1e-13)", "--within", "1e-9"]) == 0
    captured = capsys.readouterr()
    assert "can_be_sent" in captured.out
    assert not captured.err
    assert "applications += 1" in text
    file.write_text(text.replace("applications += 1", "applications += 2"))
    assert entry(["check", f"{file}:broyden(1e-13)"]) == 1
    captured = capsys.readouterr()
    assert "counts_truly: " in captured.err
    assert "checks failed" in captured.err
    assert entry(["check", "deq(1e-12)", "--json"]) == 0
    assert {one["verdict"] for one in json.loads(capsys.readouterr().out)} <= {"good", "note"}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("nowhere.py:mine", "there is no Python file nowhere.py"),
        ("{file}:three", "returns int: give what returns a solvers.Solver"),
        ("{file}:none", "returns nothing"),
        ("{file}:fails", "raises KeyError"),
        ("dec(3)", "did you mean deq"),
        ("huber", None),
    ],
)
def test_what_cannot_be_checked_is_one_line(tmp_path, capsys, call, message):
    file = tmp_path / "mine.py"
    file.write_text("def three(): return 3\ndef none(): pass\ndef fails(): raise KeyError('x')\n")
    options = [] if message else ["--within", "0.1"]
    assert (message or "--within is for solvers") in refused(
        capsys, ["check", call.format(file=file), *options], run=entry
    )


def test_an_operator_of_theory_checks_is_checked_as_before(tmp_path, capsys):
    page = (ROOT / "docs" / "claims.md").read_text(encoding="utf-8")
    (tmp_path / "operator.py").write_text(page.split("```python\n")[1].split("```")[0])
    assert entry(["check", f"{tmp_path / 'operator.py'}:make"]) == 0
    assert "C19" in capsys.readouterr().out
