"""The wheel has the packages under its own name, and what it is made of says so."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from email.parser import BytesParser

import pytest

import solvers
from bench.utils.provenance import ROOT
from hatch_build import EXTRAS, PACKAGES, index_page, renamed, requirements
from tests.helpers.installed import uv

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LEFT_OVER = re.compile(r"^\s*(?:from|import) (?:solvers|bench|theory_checks)\b", re.MULTILINE)
LARGEST = 5_000_000
"""Bytes of the wheel, of which the weights of denoisers are 3 million."""


@pytest.fixture(scope="module")
def files(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="module")
def metadata(files):
    (text,) = (content for name, content in files.items() if name.endswith(".dist-info/METADATA"))
    return BytesParser().parsebytes(text)


def test_the_wheel_has_every_file_of_the_packages_and_no_other_name(files):
    expected = {"eqgrad_pytest.py"}
    for package, name in PACKAGES.items():
        for file in (ROOT / package).rglob("*"):
            if file.is_file() and "__pycache__" not in file.parts:
                expected.add("/".join([*name.split("."), *file.relative_to(ROOT / package).parts]))
    assert {name for name in files if ".dist-info/" not in name} == expected
    assert {name.split("/")[0].partition("-")[0] for name in files} == {"eqgrad", "eqgrad_pytest.py"}


def test_the_wheel_is_small(wheel):
    assert wheel.stat().st_size < LARGEST


def test_no_file_imports_a_name_of_the_checkout(files):
    for name, content in files.items():
        if name.endswith((".py", ".py.txt")) and ".dist-info/" not in name:
            text = content.decode()
            compile(text, name, "exec")
            assert not LEFT_OVER.search(text), name
            assert not re.search(r"-[mp] (bench|theory_checks)\b", text), name


def test_the_source_distribution_makes_the_same_wheel(files, tmp_path):
    options = ("--no-build-isolation", "--python", sys.executable, "--out-dir", str(tmp_path))
    uv("build", "--sdist", *options, str(ROOT))
    (source,) = tmp_path.glob("*.tar.gz")
    uv("build", "--wheel", *options, str(source))
    (again,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(again) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == files


def test_the_extras_are_the_dependency_groups(metadata):
    needs = metadata.get_all("Requires-Dist")
    assert [need for need in needs if "extra ==" not in need] == PROJECT["project"]["dependencies"]
    for extra, group in EXTRAS.items():
        found = [need for need in needs if need.endswith(f"extra == '{extra}'")]
        assert len(found) == len(requirements(PROJECT["dependency-groups"], group)), extra
    assert metadata.get_all("Provides-Extra") == sorted(EXTRAS)


def test_the_versions_agree(metadata):
    assert solvers.__version__ == metadata["Version"] == PROJECT["project"]["version"]


def test_the_page_on_an_index_needs_no_file_of_the_project(metadata):
    page = metadata.get_payload()
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert "![" not in page
    assert not re.search(r"\]\((?!https://)", page)
    assert "https://arxiv.org/abs/2506.13239" in page


def test_links_and_images_become_words():
    text = "See [docs/a.md](docs/a.md#b), [the page](docs/b.md), [X](https://x.org).\n\n![A plot](a.png)\n"
    expected = "See docs/a.md, the page (docs/b.md), [X](https://x.org).\n\n*Figure, a.png of the project: A plot.*\n"
    assert index_page(text) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("from solvers import Map, bench\n", "from eqgrad import Map, bench\n"),
        ("from solvers._core.maps import Map\n", "from eqgrad._core.maps import Map\n"),
        ("import solvers\nsolvers.deq\n", "import eqgrad as solvers\nsolvers.deq\n"),
        ("import os, bench as b\n", "import os, eqgrad.bench as b\n"),
        ("from .solvers import x\n", "from .solvers import x\n"),
        ("from benchopt import x\n", "from benchopt import x\n"),
        ("é = '→'; from bench import x\n", "é = '→'; from eqgrad.bench import x\n"),
        ('m["solvers.a"], m[f"bench.{n}"]\n', 'm["eqgrad.a"], m[f"eqgrad.bench.{n}"]\n'),
        ("solvers.items(), bench.Task\n", "solvers.items(), bench.Task\n"),
        ('f"not a solvers.Solver, {solvers.x}"\n', 'f"not a eqgrad.Solver, {solvers.x}"\n'),
        ('"run python -m bench run"\n', '"run eqgrad run"\n'),
        ('["python", "-m", "bench", "run"]\n', '["eqgrad", "run"]\n'),
        ('"-m bench.timing.x"\n', '"-m eqgrad.bench.timing.x"\n'),
        (
            '"""E.g.\n\n    from bench.tasks import x\n"""\n',
            '"""E.g.\n\n    from eqgrad.bench.tasks import x\n"""\n',
        ),
        ('"the best solvers. They"\n', '"the best solvers. They"\n'),
    ],
)
def test_a_file_is_renamed_and_nothing_else_changes(source, expected):
    assert renamed(source) == expected


def test_an_import_that_binds_a_name_of_the_checkout_is_refused():
    with pytest.raises(ValueError, match=r"line 2: import bench\.tasks binds bench"):
        renamed("import os\nimport bench.tasks\n")


@pytest.mark.process
def test_an_editable_install_has_the_names_of_the_wheel():
    code = """
import sys
sys.path += [r"ROOT", r"ROOT/editable"]
import eqgrad, eqgrad.bench.tasks, bench.tasks, solvers
from eqgrad.theory_checks.operators import UserOperator
import theory_checks.operators
assert eqgrad is solvers and eqgrad.bench.tasks is bench.tasks
assert UserOperator is theory_checks.operators.UserOperator
assert bench.tasks.__spec__.name == "bench.tasks"
try:
    import eqgrad.absent
except ModuleNotFoundError as error:
    assert error.name == "eqgrad.absent"
"""
    code = code.replace("ROOT", str(ROOT))
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
