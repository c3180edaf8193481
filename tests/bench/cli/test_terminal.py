"""A terminal: nothing but errors to who asks for quiet, one JSON object, no colours where they are refused."""

from __future__ import annotations

import json
import re
import shutil

import pytest
from rich.console import Console

from bench.__main__ import entry
from bench.utils.console import console

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


@pytest.mark.process
@pytest.mark.usefixtures("without_figures")
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


@pytest.mark.process
@pytest.mark.usefixtures("without_figures")
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


def streams(monkeypatch, encoding):
    import io
    import sys

    made = [io.TextIOWrapper(io.BytesIO(), encoding=encoding) for _ in range(2)]
    monkeypatch.setattr(sys, "stdout", made[0])
    monkeypatch.setattr(sys, "stderr", made[1])
    return made


def text(stream):
    stream.flush()
    return stream.buffer.getvalue().decode(stream.encoding)


@pytest.mark.misuse("a terminal that is not UTF-8", "right: × is printed as x, ‖ as ||, σ as sigma")
@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1", "utf-8"])
def test_no_letter_is_too_much_for_a_terminal(encoding, monkeypatch):
    import pandas as pd

    from bench.utils.console import print_frame, say
    from bench.utils.terminal import replace_unencodable

    out, err = streams(monkeypatch, encoding)
    replace_unencodable()
    print_frame(pd.DataFrame({"‖σ‖ [b]": ["reach × pull", "[red]λ → ℓ", "漢"]}), "θ [/x]")
    say("a × b ≤ c [red] \udce9")
    shown, told = text(out), text(err)
    for word in ("reach", "[red]", "[b]", "[/x]"):
        assert word in shown
    assert "[red]" in told
    assert "\\udce9" in told
    if encoding == "ascii":
        assert "||sigma||" in shown
        assert "lambda -> l" in shown
        assert "a x b <= c" in told
        assert "\\u6f22" in shown
    if encoding == "utf-8":
        assert "‖σ‖" in shown


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_json_is_json_on_any_terminal(encoding, monkeypatch):
    from bench.utils.terminal import printed_json, replace_unencodable

    out, _ = streams(monkeypatch, encoding)
    replace_unencodable()
    found = {"a × b": "‖σ‖ 漢 \U0001f600 é \udce9" if encoding != "utf-8" else "‖σ‖ 漢 \U0001f600 é"}
    print(printed_json(json.dumps(found, ensure_ascii=False)))  # noqa: T201
    assert json.loads(text(out)) == found


@pytest.mark.process
@pytest.mark.misuse("output into a pipe that is closed (| head)", "right: it stops, without a word")
def test_a_pipe_that_is_closed_is_no_error(capfd):
    import subprocess
    import sys

    from bench.utils.provenance import ROOT

    code = "import sys; from bench.__main__ import entry; sys.exit(entry(['completion', 'bash']))"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT
    ) as process:
        process.stdout.close()
        said = process.stderr.read()
        assert process.wait(120) == 141
    assert said == b""


@pytest.mark.misuse("python -OO (no docstrings, no assert)", "right: the same, with empty descriptions")
def test_without_docstrings(capsys, monkeypatch):
    from solvers import deq

    monkeypatch.setattr(deq, "__doc__", None)
    assert entry(["list", "solvers"]) == 0
    assert "deq(tol" in capsys.readouterr().out
