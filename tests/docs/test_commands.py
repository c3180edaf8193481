"""Every command line of README and docs is run, on sizes of a second; those of minutes are read by their parser.

In place of the packaged profiles stand smaller ones, of the same names and tasks; studies that take minutes at any
size have tests of their own, and only their lines are checked here, as are those of tox.ini.
"""

from __future__ import annotations

import configparser
import importlib
import re
import shlex
import shutil
import sys
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
import skimage
import typer
from skimage.io import imsave

from bench.config import matrix
from bench.utils.console import run_command
from bench.utils.provenance import ROOT
from tests.docs.command_lines import check_line, parts
from tests.docs.pages import PAGES, commands, name, snippets
from theory_checks.companions import GROUPS
from theory_checks.operators import benchmark_operator
from theory_checks.selection import BOUNDS, COMPANIONS

STUDIES = {
    "bench": {"certificates", "largest", "leaderboard", "published", "trajectory"},
    "tests.resilience": {"kills", "stops", "twins", "disk", "malformed", "overhead", "throughput"},
    "bench.studies.denoiser_training.train": {""},
    "bench.studies.gallery": {""},
    "bench.studies.hero_picture": {""},
    "bench.studies.largest_image.memory": {""},
    "bench.studies.largest_image.whole_volume": {""},
    "bench.studies.learned_gain": {""},
    "bench.studies.modality_pictures": {""},
    "bench.studies.published.splittings": {""},
    "bench.studies.regulariser_training.compare": {""},
    "bench.studies.regulariser_training.train": {""},
    "bench.studies.regulariser_training.transfer": {""},
    "theory_checks": {"attack", "mutations", "oracle", "peers"},
}
"""Minutes at any size, and the leaderboard, which would write into docs/."""
MINUTES = {BOUNDS, COMPANIONS, *(group.name for group in GROUPS)}
"""Claims that ``verify`` needs minutes for: ``tox -e bounds`` and ``tox -e companions`` run them."""
SHELL = {".", "cd", "export", "git", "sbatch", "uv"}
"""What is no command of ours, and has no test but a reader's."""
INSTALLERS = {"pip", "tox", "dask"}
"""Modules run with ``python -m`` that are not ours; tests/test_wheel.py installs, test_cluster.py starts Dask."""
OWN = {
    "my_solver.py": ("solver", "mine", "Mine"),
    "my_task.py": ("task", "mine", "Mine"),
    "my_operator.py": ("operator", "mine", "Mine"),
}
"""Files that the pages call the reader's own, from the templates of ``new``."""
LINES = [(page, words) for page in PAGES for words in commands(page)]


def shrunk(profile: matrix.Profile) -> matrix.Profile:
    """A task and two of its solvers, small crops, a step of training, no longer ways."""
    training = profile.training.model_copy(update={"steps": min(1, profile.training.steps), "batch": 1})
    sizes = {"crop": 32, "train": 2, "test": 1}
    return profile.model_copy(
        update={
            "tasks": profile.tasks[:1],
            "solvers": profile.solvers[:2],
            "seeds": profile.seeds[:1],
            "images": profile.images.model_copy(update=sizes),
            "training": training,
            "equilibrium": profile.equilibrium.model_copy(update={"budget": 20, "max_applications": 20}),
            "oracle": profile.oracle.model_copy(update={"budget": 60}),
            "blocks": [],
        }
    )


def make_own(file: Path, template: str, title: str, klass: str) -> None:
    """Write a reader's own file from a template of ``new``."""
    text = (ROOT / "bench" / "cli" / "templates" / f"{template}.py.txt").read_text(encoding="utf-8")
    file.write_text(text.replace("NAME", title).replace("KLASS", klass), encoding="utf-8")


def make_scans(folder: Path) -> None:
    """A folder of DICOM files, and a volume."""
    (folder / "scans").mkdir()
    for title in ("CT_small.dcm", "MR_small.dcm", "MR_small_implicit.dcm", "examples_overlay.dcm"):
        shutil.copy(Path(pydicom.__file__).parent / "data" / "test_files" / title, folder / "scans")
    y, x, z = np.mgrid[-1:1:40j, -1:1:36j, -1:1:24j]
    ball = np.exp(-3 * (y**2 + x**2 + z**2)) * (1 + 0.2 * np.sin(9 * x))
    nibabel.save(nibabel.Nifti1Image(ball, np.eye(4)), folder / "head.nii.gz")
    (folder / "volumes").mkdir()
    for title in ("first", "second"):
        np.save(folder / "volumes" / f"{title}.npy", np.random.default_rng(0).random((32, 32, 32)))


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder as a reader's: photographs, own files, a finished run, and the references."""
    folder = tmp_path_factory.mktemp("home")
    for place, side in (("photographs", 256), ("DIR", 64)):
        (folder / place).mkdir()
        for title in ("camera", "astronaut", "coffee", "chelsea", "brick"):
            imsave(
                folder / place / f"{title}.png",
                getattr(skimage.data, title)()[:side, :side],
                check_contrast=False,
            )
    make_scans(folder)
    (snippet,) = snippets(ROOT / "docs" / "claims.md")
    (folder / "contraction.py").write_text(snippet.code, encoding="utf-8")
    for file, own in OWN.items():
        make_own(folder / file, *own)
    (folder / "results").mkdir()
    (folder / "results" / "reference").symlink_to(ROOT / "results" / "reference")
    (folder / "docs").symlink_to(ROOT / "docs")
    return folder


@pytest.fixture(autouse=True)
def small(monkeypatch, home):
    """Small profiles, two operators, no timings, no figures, and a home of the reader's own."""
    load, operators = matrix.load_profile, benchmark_operator.benchmark_tasks()[:2]
    monkeypatch.setattr(matrix, "load_profile", lambda text: shrunk(load(text)))
    monkeypatch.setattr("bench.execution.runner.run_timings", lambda jobs, store, budget: iter(()))
    monkeypatch.setattr("bench.report.figures.render_figures", lambda *parts: {})
    monkeypatch.setattr(benchmark_operator, "benchmark_tasks", lambda: operators)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(home)


def ours(words: list[str]) -> bool:
    """Whether a line runs this project."""
    return "-m" in words and words[words.index("-m") + 1] not in INSTALLERS


def is_study(module: str, arguments: list[str]) -> bool:
    known = STUDIES.get(module, set())
    if arguments[:1] == ["verify"]:
        asked = arguments[arguments.index("--claims") + 1] if "--claims" in arguments else BOUNDS
        # Claims of the companions are numbered as their pages are, those of the bounds C1, C2, and so on.
        return asked in MINUTES or asked[:1].isdigit()
    return "" in known or bool(arguments and arguments[0] in known)


def runs(module: str, arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> object:
    """Run ``python -m module arguments`` here. Its exit code."""
    if module == "theory_checks" and "--examples" in arguments:
        arguments[arguments.index("--examples") + 1] = "5"
    package = importlib.import_module(
        f"{module}.__main__" if Path(ROOT, *module.split(".")).is_dir() else module
    )
    if hasattr(package, "app"):
        return run_command(package.app, f"python -m {module}", arguments)
    monkeypatch.setattr(sys, "argv", [module, *arguments])
    return package.main()


@pytest.mark.process
@pytest.mark.parametrize(
    ("page", "words"),
    [line for line in LINES if ours(line[1])],
    ids=[f"{name(page)}: {' '.join(words)[:90]}" for page, words in LINES if ours(words)],
)
def test_the_commands_of_a_page_do_what_they_say(page, words, home, monkeypatch):
    module, arguments = parts(
        [str(Path(word).expanduser()) if word.startswith("~") else word for word in words]
    )
    if is_study(module, arguments):
        check_line(module, arguments)
        return
    if any("mine.py:" in word for word in arguments) and not Path("mine.py").exists():
        # The line of `new` above made it, unless another worker of pytest-xdist ran that line.
        make_own(Path("mine.py"), *OWN["my_solver.py"])
    for folder in [Path(word) for word in arguments if word.startswith("results/")]:
        if folder.is_relative_to("results/reference"):
            continue
        if arguments[0] in ("compare", "run") and folder.exists():
            shutil.rmtree(
                home / folder
            )  # of another line: a smaller run has no cell in common with a reference
        if arguments[0] in ("advise", "compare", "report", "export", "plan") and not folder.exists():
            # Somebody ran it: the reference is such a run.
            shutil.copytree(ROOT / "results" / "reference" / "quick-cpu", home / folder)
    if "--workers" in arguments or "--scheduler" in arguments:
        check_line(
            module, arguments
        )  # tests/bench/execution/test_dask_cluster.py starts schedulers and workers
    else:
        assert runs(module, arguments, monkeypatch) in (0, None)


def test_no_line_is_passed_over():
    for page, words in LINES:
        known = words[0] in SHELL or words[0] in ("tox", "uvx", "pipx") or "-m" in words or "=" in words[0]
        assert known, f"{name(page)}: {' '.join(words)}"
    assert sum(ours(words) for _, words in LINES) > 20


def environments() -> dict[str, list[str]]:
    """The commands of every environment of tox.ini, a line each."""
    found = configparser.ConfigParser(interpolation=None)
    found.read(ROOT / "tox.ini", encoding="utf-8")
    return {
        section.removeprefix("testenv:"): found[section].get("commands", "").strip().splitlines()
        for section in found.sections()
        if section.startswith("testenv:")
    }


def test_every_environment_that_is_named_is_there():
    known = environments()
    for page in PAGES:
        for found in re.findall(r"tox -e ([\w,-]+)", page.read_text(encoding="utf-8")):
            assert set(found.split(",")) <= {*known, "X"}, f"{name(page)}: tox -e {found}"


@pytest.mark.parametrize(
    "line", [line for lines in environments().values() for line in lines if "python -m" in line]
)
def test_the_lines_of_tox_are_read_by_their_parsers(line):
    words = shlex.split(line.replace("{posargs}", ""))
    check_line(*parts(words))


def examples() -> list[str]:
    """The lines of the helps of all commands that show how they are called."""
    found = []
    for module in ("bench", "theory_checks", "tests.resilience"):
        group = typer.main.get_command(importlib.import_module(f"{module}.__main__").app)
        for command in (group, *group.commands.values()):
            shown = [line.strip() for line in (command.help or "").splitlines()]
            found += [line for line in shown if line.startswith("python -m")]
    return found


@pytest.mark.parametrize("line", sorted(set(examples())))
def test_the_examples_of_the_helps_are_read_by_their_parsers(line):
    check_line(*parts(shlex.split(line.replace("| source", ""), comments=True)))


def test_every_command_of_the_benchmark_shows_an_example():
    group = typer.main.get_command(importlib.import_module("bench.__main__").app)
    for title, command in group.commands.items():
        assert f"python -m bench {title}" in (command.help or ""), title
