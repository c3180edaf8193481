"""Paths, names and letters that a command line may hold: as they are, or one line with exit code 2."""

from __future__ import annotations

import json
import os

import pytest

from bench.__main__ import entry
from tests.helpers.commands import refused
from tests.helpers.profiles import TINY
from theory_checks.__main__ import entry as theory

LONG = "x" * 300
PRINTS = """
import sys
print("loading")
from solvers import FixedSteps, Solver, TruncatedBackprop
from dataclasses import dataclass

@dataclass(frozen=True)
class Reach:
    K: int
    def __call__(self, T, x0):
        print("reaching")
        sys.stdout.write("and more\\n")
        return FixedSteps(self.K)(T, x0)

def mine(K):
    print("making")
    return Solver(f"mine({K})", Reach(K), TruncatedBackprop(1))

def bracketed(K):
    return Solver(f"mine[/b]({K})", FixedSteps(K), TruncatedBackprop(1))

def leaves():
    sys.exit(7)
"""
CELL = ["cell", "--task", "denoising(l1)", "--profile", "TINY.toml", "--device", "cpu"]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    (tmp_path / "own.py").write_text(PRINTS, encoding="utf-8")
    (tmp_path / "TINY.toml").write_text(TINY.replace("steps = 3", "steps = 0"), encoding="utf-8")
    (tmp_path / "file").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


OUTS = [
    ["run", "TINY.toml", "--device", "cpu", "--out"],
    ["compare", "a", "b", "--out"],
    ["certificates", "--out"],
    ["trajectory", "--task", "denoising(l1)", "--out"],
]


@pytest.mark.parametrize("words", OUTS, ids=lambda words: words[0])
@pytest.mark.parametrize(
    ("out", "message"),
    [
        pytest.param(
            LONG,
            "File name too long: choose another folder",
            marks=pytest.mark.misuse(
                "--out with a name of 300 letters",
                "refused: cannot write to --out NAME: File name too long: choose another folder",
            ),
        ),
        pytest.param(
            "file/sub/deeper",
            "lies under the file",
            marks=pytest.mark.misuse(
                "--out below a file", "refused: --out NAME lies under the file FILE: choose another folder"
            ),
        ),
        pytest.param(
            "file",
            "--out file is a file: choose a folder",
            marks=pytest.mark.misuse(
                "--out that is a file", "refused: --out NAME is a file: choose a folder"
            ),
        ),
        ("loop/sub", "Too many levels of symbolic links"),
    ],
)
def test_a_folder_that_cannot_be_is_a_line_that_names_the_option(words, out, message, here, capsys):
    (here / "loop").symlink_to(here / "loop")
    before = sorted(here.iterdir())
    line = refused(capsys, [*words, out])
    assert "--out" in line
    assert message in line
    assert sorted(here.iterdir()) == before


@pytest.mark.parametrize("words", [["verify", "--out"], ["mutations", "--out"], ["peers", "--out"]])
def test_the_same_of_the_theory(words, capsys):
    for out in (LONG, "file/sub"):
        assert "--out" in refused(capsys, [*words, out], run=theory)
    assert "--benchopt" in refused(capsys, ["export", "a", "--benchopt", LONG])


@pytest.mark.misuse(
    "--out in a folder that may only be read", "refused: cannot write to --out NAME: … is read-only"
)
def test_a_folder_that_may_only_be_read(here, capsys, monkeypatch):
    allowed = os.access
    monkeypatch.setattr(os, "access", lambda path, how: allowed(path, how) and str(path) != str(here))
    line = refused(capsys, ["run", "TINY.toml", "--device", "cpu", "--out", "new/deeper"])
    assert line == f"error: cannot write to --out new/deeper: {here} is read-only: choose another folder"


@pytest.mark.parametrize(
    "words",
    [
        ["report", LONG],
        ["report", "file/sub"],
        ["compare", LONG],
        ["new", "solver", "mine", "--into", LONG],
        ["new", "solver", "mine", "--into", "file/sub"],
        [*CELL, "--solver", f"{LONG}.py:mine(3)"],
        [*CELL, "--solver", "~nobody_at_all/own.py:mine(3)"],
        ["run", f"{LONG}.toml", "--out", "new"],
        ["run", "TINY.toml", "--out", "new", "--device", "cpu", "--images", LONG],
    ],
    ids=lambda words: words[0],
)
@pytest.mark.misuse(
    "a path that cannot be, for a run, a file, a profile or images", "refused: one line that names it"
)
def test_what_cannot_be_read_is_a_line(words, capsys):
    assert len(refused(capsys, words)) < 600


@pytest.mark.misuse(
    "a working directory that is gone", "refused: the working directory is gone: cd to a folder that exists"
)
def test_a_working_directory_that_is_gone(here, capsys, monkeypatch):
    gone = here / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert refused(capsys, ["list", "profiles"]) == (
        "error: the working directory is gone: cd to a folder that exists"
    )


@pytest.mark.misuse("square brackets in the label of a solver", "right: printed as they are")
def test_brackets_in_a_label(capsys):
    assert entry([*CELL, "--solver", "own.py:bracketed(3)"]) == 0
    assert "mine[/b](3)" in capsys.readouterr().out


@pytest.mark.process
@pytest.mark.misuse("square brackets in a path", "right: printed as they are")
@pytest.mark.usefixtures("without_figures")
def test_brackets_in_a_path(here, tiny_run, capsys):
    import shutil

    shutil.copytree(tiny_run, here / "runs [x][/b]")
    profile = str(tiny_run.parent / "tiny.toml")
    assert entry(["run", profile, "--out", "runs [x][/b]", "--device", "cpu"]) == 0
    assert "page: runs [x][/b]/index.html" in capsys.readouterr().err
    assert entry(["compare", "runs [x][/b]", "runs [x][/b]", "--out", "[red]", "--fail-on", "values"]) == 0
    said = capsys.readouterr()
    assert "[red]/compare.md" in said.err
    assert "against runs [x][/b]" in said.err
    assert entry(["new", "solver", "mine_too", "--into", "runs [x][/b]"]) == 0
    assert "runs [x][/b]/mine_too.py" in capsys.readouterr().err


@pytest.mark.misuse(
    "--json with a file of one's own that prints", "right: what it prints goes to standard error"
)
@pytest.mark.parametrize(
    ("run", "words"),
    [
        (entry, [*CELL, "--solver", "own.py:mine(3)", "--json"]),
        (theory, ["check", "own.py:Reach(9)", "--json"]),
    ],
)
def test_json_is_all_there_is(run, words, capsys, monkeypatch):
    # The checks take half a minute, and print no more than one application does.
    monkeypatch.setattr(
        "theory_checks.check.command.run_checks", lambda reach, *_: [] if reach(abs, 1.0) else None
    )
    run(words)
    said = capsys.readouterr()
    json.loads(said.out)
    for word in ("reaching", "and more"):
        assert word in said.err


@pytest.mark.misuse(
    "a file of one's own that calls sys.exit", "refused: raises SystemExit, with the line of the file"
)
def test_a_file_that_exits(capsys):
    assert "raises SystemExit: 7 (line 23 of own.py)" in refused(
        capsys, [*CELL, "--solver", "own.py:leaves()"]
    )


@pytest.mark.misuse("a command without arguments", "right: its help, line by line")
@pytest.mark.parametrize("run", [entry, theory])
def test_no_arguments_are_answered_with_the_help(run, capsys):
    assert run([]) == 2
    said = capsys.readouterr()
    assert said.err == ""
    assert len(said.out.splitlines()) > 10
    assert "Commands" in said.out


@pytest.mark.misuse(
    "a library that is not installed",
    "refused: … needs NAME, which is not installed, and what makes an environment",
)
def test_a_library_that_is_missing_is_named(capsys, monkeypatch):
    def missing(*_):
        raise ModuleNotFoundError("No module named 'hypothesis.strategies'", name="hypothesis.strategies")

    monkeypatch.setattr("theory_checks.check.print_checks", missing)
    line = refused(capsys, ["check", "deq"], run=theory)
    assert line.startswith(
        "error: python -m theory_checks needs hypothesis, which is not installed: tox devenv"
    )


def test_profiles_are_listed_without_the_libraries_of_some(capsys, monkeypatch):
    from bench.config.matrix import load_profile
    from bench.utils.errors import UserError

    def lacking(name):
        if name == "pareto":
            raise UserError("torchdeq is not installed")
        return load_profile(name)

    monkeypatch.setattr("bench.config.matrix.load_profile", lacking)
    assert entry(["list", "profiles"]) == 0
    out = capsys.readouterr().out
    assert "torchdeq is not installed" in out
    assert "quick" in out
