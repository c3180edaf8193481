"""Pages, JSON, exit codes and errors of the command that compares."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from bench.__main__ import entry
from bench.comparison import (
    Aspect,
    compare_runs,
    compare_solvers,
    output,
    read_stored_run,
)
from tests.helpers.commands import refused
from tests.helpers.comparison import QUICK


def test_the_same_records_give_the_same_bytes_of_every_file(edited, tmp_path):
    contents = []
    for name in ("a", "b"):
        found = compare_runs(read_stored_run(edited), [read_stored_run(QUICK)] * 2)
        files = output.write_comparison(found, tmp_path / name)
        contents.append({f.name: f.read_bytes() for f in files})
    assert contents[0] == contents[1]
    assert set(contents[0]) == {"compare.md", "compare.csv", "index.html"}
    page = contents[0]["index.html"].decode()
    assert "restarted_jfb(10, 16)" in page
    assert "<script src" not in page
    every = pd.read_csv(tmp_path / "a" / "compare.csv")
    assert len(every) == sum(len(comparison.changes) for comparison in found)
    row = every[(every["verdict"] == "worse") & (every["part"] == "time")].iloc[0]
    assert row["change"] == pytest.approx(1.3)
    text = contents[0]["compare.md"].decode()
    assert "1.300" in text
    assert "further rows of memory: the same, or noise." in text


def test_two_solvers_have_a_page_too(quick, tmp_path):
    output.write_comparison([compare_solvers(quick, "jfb(10)", "deq(1e-06)")], tmp_path)
    text = (tmp_path / "compare.md").read_text()
    assert "# jfb(10) against deq(1e-06)" in text
    assert "the machine ×" not in text
    assert "jfb(10)" in (tmp_path / "index.html").read_text()


def test_exit_codes_are_those_of_the_parts_that_were_asked_for(edited, capsys):
    both = [str(edited), str(QUICK)]
    assert entry(["compare", *both]) == 0
    assert "1.300" in capsys.readouterr().out
    codes = {part: entry(["compare", *both, "--fail-on", part]) for part in (*Aspect, "any")}
    assert codes == {"values": 1, "time": 1, "memory": 1, "quality": 0, "any": 1}
    told = capsys.readouterr().err
    assert f"regressed against {QUICK}: 1 of values, 1 of time, 1 of memory" in told
    assert entry(["compare", *both, "--fail-on", "quality", "--fail-on", "time", "--tolerance", "0.5"]) == 0
    assert entry(["compare", str(QUICK), str(QUICK), "--fail-on", "any"]) == 0


def test_json_is_one_object_and_nothing_else(edited, capsys):
    assert entry(["compare", str(edited), str(QUICK), "--json", "--fail-on", "any"]) == 1
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    found = json.loads(out)
    (reference,) = found["references"]
    assert reference["regressed"] == 3
    told = {(c["part"], c["quantity"], c["verdict"]) for c in reference["changes"]}
    assert ("time", "step, ms", "worse") in told
    assert ("values", "saved_mib", "changed") in told


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["QUICK"], "alone: name a second run, or two solvers of it"),
        (["QUICK", "NOWHERE"], "holds no run"),
        (["QUICK", "GROWTH"], "have no cell in common"),
        (["QUICK", "QUICK", "--fail-on", "tiem"], "unknown --fail-on 'tiem'; did you mean time"),
        (["QUICK", "--solver", "jfb(10)"], "--solver and --against go together"),
        (["QUICK", "--solver", "jfb(11)", "--against", "jfb(10)"], "unknown solver of"),
        (["QUICK", "--solver", "jfb(10)", "--against", "jfb( 10 )"], "are both jfb(10)"),
        (["QUICK", "QUICK", "--solver", "jfb(10)", "--against", "jfb(40)"], "name one folder"),
        (["QUICK", "--solver", "jfb(10)", "--against", "jfb(40)", "--fail-on", "values"], "need not agree"),
        (["QUICK", "QUICK", "--tolerance", "-1"], "--tolerance"),
        (["QUICK", "QUICK", "--out", "QUICK"], "holds a run"),
        (["QUICK", "QUICK", "--out", "FILE"], "is a file"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(words, message, tmp_path, capsys):
    (tmp_path / "file").touch()
    made = {"QUICK": QUICK, "GROWTH": QUICK.with_name("growth-cpu")}
    made |= {"NOWHERE": tmp_path / "none", "FILE": tmp_path / "file"}
    assert message in refused(capsys, ["compare", *(str(made.get(word, word)) for word in words)])
