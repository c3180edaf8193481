"""The program ``eqgrad``, its files and its plugin for pytest, where the wheel is and no checkout."""

from __future__ import annotations

import json
import re

import pytest

from bench.utils.provenance import ROOT
from tests.docs.pages import snippets
from tests.helpers.installed import install
from theory_checks.all_commands import app

pytestmark = pytest.mark.process
(CONTRACTION,) = snippets(ROOT / "docs" / "claims.md")
PYTEST = ("-P", "-m", "pytest", "-q", "-p", "no:cacheprovider")
LINES = re.findall(
    r"^ *- (?:run: )?(python .*)$", (ROOT / "docs" / "ci.md").read_text(encoding="utf-8"), re.MULTILINE
)
OWN_BENCH = "raise ImportError('this bench is of another project')\n"
MODULES = """
import importlib, pkgutil, sys
import eqgrad
from eqgrad._core.solver import Solver
for module in pkgutil.walk_packages(eqgrad.__path__, "eqgrad."):
    if not module.name.endswith(("__main__", "conftest", "test_step")):
        importlib.import_module(module.name)
tops = {name.partition(".")[0] for name in sys.modules}
assert tops.isdisjoint({"solvers", "bench", "theory_checks"}), tops
assert eqgrad.Solver is Solver
print(eqgrad.__file__)
"""
TINY = """
name = "tiny"
summary = "A cell."
tasks = ["denoising(huber)"]
solvers = ["jfb(5)"]
seeds = [0]
dtype = "float64"
threads = 1
images = { crop = 32, train = 1, test = 1 }
training = { steps = 1, learning_rate = 0.2, batch = 1 }
equilibrium = { tol = 1e-3, budget = 50 }
timing = { rounds = 2, seconds = 0.1 }
"""
NO_TYPER = """
import sys
sys.modules["typer"] = None
from eqgrad.theory_checks.command import entry
sys.exit(entry(["list", "solvers"]))
"""


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """An environment, and a folder with what may be in a user's: another project's ``bench``, an operator."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("bench", "solvers"):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(OWN_BENCH, encoding="utf-8")
    code = CONTRACTION.code.replace("from theory_checks", "from eqgrad.theory_checks")
    assert code != CONTRACTION.code
    (folder / "contraction.py").write_text(code, encoding="utf-8")
    return install(wheel, tmp_path_factory.mktemp("environment"), folder)


def test_it_has_the_commands_of_the_checkout_in_one(installed):
    done = installed.run("eqgrad", "--help")
    assert done.returncode == 0, done.stderr
    shown = {line.split()[0] for line in done.stdout.partition("Commands:")[2].splitlines() if line.strip()}
    assert {"run", "list", "certify", "new", "verify", "check", "worst-cases"} <= shown
    assert "docs" not in shown
    assert len(shown) == len(app.registered_commands)
    assert "python -m" not in done.stdout


def test_every_module_is_imported_under_its_own_name_alone(installed):
    done = installed.run("python", "-W", "ignore", "-P", "-c", MODULES)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith(str(installed.environment))


def test_it_says_its_version(installed):
    done = installed.run("eqgrad", "--version")
    assert done.stdout.startswith("eqgrad 0.1.0, torch "), done.stderr


def test_without_the_extra_the_program_says_what_to_install(installed):
    done = installed.run("python", "-c", NO_TYPER)
    assert done.returncode == 2
    assert done.stderr == "error: eqgrad needs typer, which is not installed: pip install 'eqgrad[bench]'\n"


def test_verdicts_for_machines(installed):
    done = installed.run("eqgrad", "verify", "--claims", "C3", "--examples", "10", "--json")
    assert done.returncode == 0, done.stderr
    verdicts = json.loads(done.stdout)
    assert [(claim["id"], claim["verdict"]) for claim in verdicts["claims"]] == [("C3", "holds")]
    # Operators that are no contractions do not meet the assumption.
    assert {check["verdict"] for check in verdicts["operators"]} == {"holds", "assumption not met"}


def test_a_certificate(installed):
    words = (
        "--task",
        "deblurring(huber)",
        "--solver",
        "jfb(20)",
        "--profile",
        "smoke",
        "--no-audit",
        "--json",
    )
    done = installed.run("eqgrad", "certify", *words)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["solver"] == "jfb(20)"


def test_a_solver_of_ones_own_imports_the_wheel_and_passes_its_test(installed):
    done = installed.shell(
        "eqgrad new solver mine && eqgrad check './mine.py:mine(10)' && "
        "python -m pytest -q -p no:cacheprovider test_mine.py"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "from eqgrad import GMRES" in (installed.folder / "mine.py").read_text(encoding="utf-8")
    assert "try: eqgrad check './mine.py:mine(10)'" in done.stderr
    assert "PYTHONPATH" not in done.stderr


def test_a_file_written_for_the_checkout_is_refused_with_the_name_here(installed):
    text = (installed.folder / "contraction.py").read_text(encoding="utf-8")
    (installed.folder / "old.py").write_text(text.replace("eqgrad.theory", "theory"), encoding="utf-8")
    done = installed.run("eqgrad", "verify", "--operator", "./old.py:make")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "./old.py: the file raises ModuleNotFoundError: No module named 'theory_checks'" in line
    assert line.endswith("where eqgrad is installed it is eqgrad.theory_checks")


def test_the_page_on_ci_has_the_same_lines_for_each_service():
    assert len(LINES) == 6
    assert LINES[:3] == LINES[3:]
    assert all("pip install" in line for line in LINES[:2])


def test_the_line_of_the_page_on_ci_runs_and_writes_its_report(installed):
    done = installed.shell(LINES[2])
    assert done.returncode == 0, done.stdout + done.stderr
    assert 'tests="14"' in (installed.folder / "theory.xml").read_text(encoding="utf-8")


def test_pytest_imports_no_torch_for_other_projects(installed):
    (installed.folder / "test_quick.py").write_text(
        "import sys\n\ndef test_quick():\n    assert not {'torch', 'eqgrad'} & sys.modules.keys()\n",
        encoding="utf-8",
    )
    done = installed.run("python", *PYTEST, "test_quick.py")
    assert done.returncode == 0, done.stdout


def test_a_run_measures_times_and_reports(installed):
    (installed.folder / "tiny.toml").write_text(TINY, encoding="utf-8")
    done = installed.run("eqgrad", "run", "tiny.toml", "--out", "results", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    results = installed.folder / "results"
    records = [json.loads(file.read_text(encoding="utf-8")) for file in results.glob("rows/*.json")]
    assert {record["status"] for record in records} == {"ok"}
    assert sorted(record["kind"] for record in records) == ["cost", "quality"]
    page = (results / "index.html").read_text(encoding="utf-8")
    assert "eqgrad run tiny" in page
    assert "python -m bench" not in page


@pytest.mark.slow
def test_the_smoke_profile_runs(installed):
    done = installed.run("eqgrad", "run", "smoke", "--out", "smoke", "--device", "cpu")
    assert done.returncode == 0, done.stderr
