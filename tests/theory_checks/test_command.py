"""The command: verdicts, tables, JSON, exit codes."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.helpers.commands import refused
from theory_checks.__main__ import entry
from theory_checks.claims import CLAIMS
from theory_checks.operators import benchmark_operator


@pytest.fixture
def two_operators(monkeypatch):
    """Those of the benchmark have tests of their own, each."""
    operators = benchmark_operator.benchmark_tasks()[:2]
    monkeypatch.setattr(benchmark_operator, "benchmark_tasks", lambda: operators)


@pytest.mark.usefixtures("two_operators")
def test_the_command_prints_verdicts_and_writes_tables(tmp_path, capsys):
    assert entry(["verify", "--claims", "C3, C4", "--examples", "20", "--out", str(tmp_path / "out")]) == 0
    out = capsys.readouterr().out
    assert "C3" in out
    assert "holds" in out
    for name in (
        "verdicts.md",
        "verdicts.tex",
        "verdicts.json",
        "references.bib",
        "error-against-bound.png",
        "error-against-bound.pdf",
        "error-against-bound.svg",
    ):
        assert (tmp_path / "out" / name).stat().st_size > 200


@pytest.mark.usefixtures("two_operators")
def test_the_command_speaks_json(capsys):
    assert entry(["verify", "--claims", "C4", "--examples", "10", "--json"]) == 0
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    (verdict,) = found["claims"]
    assert {f["claim"] for f in found["operators"]} == {"C4"}
    assert (verdict["id"], verdict["verdict"], verdict["examples"]) == ("C4", "holds", 10)
    assert captured.err == ""


@pytest.mark.usefixtures("two_operators")
def test_a_failing_claim_is_exit_code_1(monkeypatch, capsys):
    monkeypatch.setitem(CLAIMS, "C4", replace(CLAIMS["C4"], sides=CLAIMS["C4"].negative_control))
    assert entry(["verify", "--claims", "C4", "--examples", "10"]) == 1
    assert "FAILS" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["verify", "--claims", "C99"], "unknown claim 'C99'"),
        (["verify", "--claims", ","], "names no claim"),
        (["verify", "--examples", "0"], "examples"),
        (["verify", "--examples", "many"], "examples"),
        (["verify", "--out", "FILE"], "is a file"),
    ],
)
def test_bad_arguments_are_one_line_and_exit_code_2(words, message, tmp_path, capsys):
    (tmp_path / "FILE").write_text("x")
    assert message in refused(
        capsys, [str(tmp_path / "FILE") if w == "FILE" else w for w in words], run=entry
    )
