"""The script for a first quarter of an hour on a GPU: parsers read its lines, and its rehearsal leaves nothing out."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bench.config.matrix import cells, load_profile
from bench.config.profile_schema import Profile
from bench.execution.time_budget import parse_seconds
from bench.operators import PlugAndPlayPrior
from bench.utils.provenance import ROOT
from tests.docs.command_lines import check_line, parts

pytestmark = pytest.mark.process

SCRIPT = ROOT / "docs" / "gpu_session.sh"
MODES = [{"NAME": "mine"}, {"REHEARSE": "1"}, {"NAME": "mine", "BUDGET": "60"}]


def lines(**given: str) -> list[list[str]]:
    """The words of every line that the script would run."""
    shown = subprocess.run(
        ["bash", str(SCRIPT)],
        cwd=ROOT,
        env=os.environ | {"SHOW": "1"} | given,
        capture_output=True,
        text=True,
        check=True,
    )
    assert not shown.stderr
    return [shlex.split(line[2:]) for line in shown.stdout.splitlines() if line.startswith("+ ")]


@pytest.mark.parametrize("given", MODES, ids=str)
def test_every_line_is_read_by_its_parser(given):
    found = [parts(words) for words in lines(**given)]
    assert [(module, *arguments[:1]) for module, arguments in found] == [
        ("bench", "run"),
        ("bench", "run"),
        ("bench", "largest"),
        ("pytest", "-q"),
    ]
    budget = float(given.get("BUDGET", "840"))
    for module, arguments in found:
        if module == "pytest":
            files = [word for word in arguments if word.startswith("tests/")]
            assert files
            assert all((ROOT / file).is_file() for file in files)
            continue
        check_line(module, arguments)
        assert parse_seconds(arguments[arguments.index("--within") + 1]) < budget
        if arguments[0] == "run":
            assert load_profile(arguments[1] if "/" not in arguments[1] else str(ROOT / arguments[1]))


def test_wheels_are_installed_and_the_commit_is_told(tmp_path):
    (tmp_path / "some-1.0-py3-none-any.whl").touch()
    first, *_ = lines(WHEELS=str(tmp_path), NAME="mine")
    assert first[:4] == ["python", "-m", "pip", "install"]
    assert {"--no-index", "--no-deps", "--target"} <= set(first)
    assert first[-1] == str(tmp_path / "some-1.0-py3-none-any.whl")


def kinds(profile: Profile) -> set[tuple[object, ...]]:
    """What sorts of cell a profile has: how T is applied, in which dtype, with which prior, several images at once."""
    return {
        (part.execution, part.dtype == profile.dtype, isinstance(cell.task.prior, PlugAndPlayPrior))
        for part, matrix in zip(profile.parts(), cells(profile), strict=True)
        for cell in matrix
    }


@pytest.mark.parametrize("name", ["gpu", "paper"])
def test_the_rehearsal_has_a_part_of_every_way(name):
    tiny = load_profile(str(ROOT / "docs" / "rehearsal" / f"{name}.toml"))
    large = load_profile(name)
    assert {kind[:2] for kind in kinds(tiny)} == {kind[:2] for kind in kinds(large)}
    assert {kind[2] for kind in kinds(tiny)} == {kind[2] for kind in kinds(large)}
    assert max(part.images.crop for part in tiny.parts()) == 32


@pytest.mark.slow
def test_the_rehearsal_runs_every_line(tmp_path):
    """In a copy without results: minutes on a quiet machine."""
    for folder in ("bench", "solvers", "tests", "docs", "theory_checks"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    given = {"REHEARSE": "1", "PATH": path, "PYTHONPATH": str(tmp_path)}
    ran = subprocess.run(
        ["bash", "docs/gpu_session.sh"],
        cwd=tmp_path,
        env=os.environ | given,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "ended with" not in ran.stdout, ran.stdout + ran.stderr
    for name in ("gpu", "paper", "largest"):
        assert (tmp_path / "results" / f"{name}-rehearsal.tar.gz").is_file()
