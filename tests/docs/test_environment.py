"""The environment of the docs is made from a clean clone, in each way that leads to it, and serves every command."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from uv import find_uv_bin

from bench.utils.console import ENVIRONMENT
from bench.utils.provenance import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
UV = find_uv_bin()
"""The program itself: ``python -m uv`` tells all that it starts that this interpreter's environment is theirs."""
SAYS = """
import eqgrad, solvers, bench, theory_checks, torchdeq, distributed, hypothesis, pytest, benchopt
from eqgrad import conformance
from eqgrad.conformance import CHECKS
assert eqgrad.Solver is solvers.Solver and conformance is solvers.conformance
print(solvers.__file__)
"""


def needs(group: str) -> set[str]:
    """The requirements of a dependency group, and of those that it includes."""
    found: set[str] = set()
    for entry in PROJECT["dependency-groups"][group]:
        found |= needs(entry["include-group"]) if isinstance(entry, dict) else {entry}
    return found


def done(*words: str, cwd: Path) -> str:
    found = subprocess.run(words, cwd=cwd, capture_output=True, text=True, timeout=900)
    assert found.returncode == 0, f"{' '.join(words)}: {found.stderr[-2000:]}"
    return found.stdout


def test_the_environment_has_what_the_groups_of_commands_have():
    for group in ("bench", "theory", "peers", "cluster"):
        assert needs(group) <= needs("dev"), group


def test_the_line_that_errors_name_stands_in_the_docs():
    assert ENVIRONMENT in (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    assert re.search(r"^\[testenv:dev\]$", (ROOT / "tox.ini").read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.process
@pytest.mark.network
def test_an_editable_install_can_be_made_and_names_the_library(tmp_path):
    """The build alone: what it puts on the path, run by this interpreter."""
    done(UV, "pip", "install", "--no-deps", "--target", str(tmp_path), "--editable", str(ROOT), cwd=ROOT)
    (link,) = tmp_path.glob("*.pth")
    paths = link.read_text(encoding="utf-8").split()
    assert {Path(path).resolve() for path in paths} == {ROOT, ROOT / "editable"}
    code = (
        f"import sys; sys.path += {paths!r}\nimport eqgrad, solvers\nassert eqgrad.Solver is solvers.Solver"
    )
    code += "\nfrom eqgrad.conformance import CHECKS\nassert eqgrad.conformance is solvers.conformance"
    done(sys.executable, "-P", "-c", code, cwd=tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    "line",
    [
        pytest.param(
            f"{UV} tool run {ENVIRONMENT}",
            marks=pytest.mark.misuse(
                "tox devenv, from a clean clone", "right: an environment for every command"
            ),
        ),
        pytest.param(
            f"{UV} sync --python {sys.executable}",
            marks=pytest.mark.misuse("uv sync, from a clean clone", "right: the same environment"),
        ),
        pytest.param(
            f"{UV} venv --seed --python {sys.executable} .venv && "
            ".venv/bin/python -m pip install --group dev --editable .",
            marks=pytest.mark.misuse(
                "pip install --group dev -e ., from a clean clone", "right: the same environment"
            ),
        ),
    ],
    ids=["tox", "uv", "pip"],
)
def test_a_clean_clone_and_one_line_make_the_environment(line, tmp_path):
    clone = tmp_path / "clone"
    done("git", "clone", "--quiet", str(ROOT), str(clone), cwd=tmp_path)
    for part in line.split(" && "):
        done(*part.split(), cwd=clone)
    python = str(clone / ".venv" / "bin" / "python")
    assert done(python, "-c", SAYS, cwd=tmp_path).strip() == str(clone / "solvers" / "__init__.py")
    assert "pareto" in done(python, "-m", "bench", "list", "profiles", cwd=clone)
    cell = ["--task", "denoising(l1)", "--solver", "deq(1e-3)", "--profile", "smoke", "--device", "cpu"]
    assert "hypergradient_error" in done(python, "-m", "bench", "cell", *cell, cwd=tmp_path)
    assert '"claim": "C1"' in done(
        python, "-m", "theory_checks", "verify", "--claims", "C1", "--examples", "3", "--json", cwd=clone
    )
    assert done("git", "status", "--porcelain", cwd=clone) == ""
