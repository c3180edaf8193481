"""What is known of a thing stands in one place: each place against what it decides."""

from __future__ import annotations

import ast
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from bench import ROOT
from bench.comparison.values import is_adaptive
from bench.external import EXTERNAL_SOLVERS, is_external
from bench.timing import protocol
from bench.timing import test_step as timing
from bench.timing.conftest import default_jobs
from bench.utils import provenance
from solvers import ESTIMATORS
from tests.helpers.timing import pedantic_benchmark

# What a cell imports and what decides nothing of its numbers: names, files, locks, errors, tables of a profile.
UNDECIDED = ("bench", "bench.config", "bench.utils")


def imported(module: str, seen: set[str]) -> set[str]:
    """Modules of the project that ``module`` imports, directly or not."""
    path = ROOT / (module.replace(".", "/") + ".py")
    path = path if path.is_file() else ROOT / module.replace(".", "/") / "__init__.py"
    if module in seen or not path.is_file():
        return seen
    seen.add(module)
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            base = [*package[: len(package) - node.level + 1]] if node.level else []
            name = ".".join([*base, *filter(None, [node.module])])
            names = [name, *(f"{name}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            if name.split(".")[0] in ("bench", "solvers"):
                imported(name, seen)
    return seen


def covered(module: str, sources: tuple[str, ...]) -> bool:
    path = module.replace(".", "/")
    return any(path == s or path.startswith(s + "/") or path + ".py" == s for s in sources)


@pytest.mark.parametrize(
    ("package", "sources"), [("measurement", provenance.QUALITY), ("timing", provenance.TIMING)]
)
def test_sources_that_decide_cover_what_is_imported(package, sources):
    seen: set[str] = set()
    for file in sorted((ROOT / "bench" / package).glob("*.py")):
        imported(f"bench.{package}.{file.stem}", seen)
    undecided = ("bench.config.", "bench.utils.", "bench.records.")
    missing = {
        m
        for m in seen
        if m not in UNDECIDED
        and not m.startswith(undecided)
        and m != "bench.records"
        and not covered(m, sources)
    }
    assert missing == set()
    for entry in sources:
        assert (ROOT / entry).exists()


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    for entry in provenance.TIMING:
        source, target = ROOT / entry, tmp_path / entry
        target.parent.mkdir(parents=True, exist_ok=True)
        ignored = shutil.ignore_patterns("__pycache__", "*.safetensors", "*.pt")
        shutil.copytree(source, target, ignore=ignored) if source.is_dir() else shutil.copy(source, target)
    (tmp_path / "bench/studies/external").mkdir(parents=True)
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    return tmp_path


def digests() -> tuple[str, str]:
    provenance.fingerprint.cache_clear()
    return provenance.fingerprint(provenance.QUALITY), provenance.fingerprint(provenance.TIMING)


@pytest.mark.parametrize(
    ("file", "stale"),
    [
        ("bench/studies/external/issues_deepinv.py", (False, False)),
        ("bench/timing/protocol.py", (False, True)),
        ("bench/measurement/measure.py", (True, True)),
        ("bench/denoisers/__init__.py", (True, True)),
        ("bench/penalties/groups.py", (True, True)),
    ],
)
def test_an_edit_makes_stale_what_it_decides(checkout: Path, file, stale):
    before = digests()
    with (checkout / file).open("a", encoding="utf-8") as stream:
        stream.write("# edited\n")
    after = digests()
    provenance.fingerprint.cache_clear()
    assert tuple(a != b for a, b in zip(before, after, strict=True)) == stale


def test_a_solver_is_adaptive_unless_its_depth_is_known():
    assert {name for name in ESTIMATORS if is_adaptive(name)} == {"deq", "implicit", "estimated", "certified"}
    assert all(is_adaptive(name) for name in EXTERNAL_SOLVERS)
    assert is_adaptive("a_users_own")


def test_a_users_solver_is_no_other_librarys():
    assert not is_external("a_users_own", from_user_file=True)
    assert is_external("deepinv_deq", from_user_file=False)
    assert not any(is_external(name, from_user_file=False) for name in ESTIMATORS)


def test_a_timing_makes_the_steps_that_its_protocol_says(monkeypatch):
    (job, *_), made = default_jobs(), []
    profile = job.profile.model_copy(
        update={
            "images": job.profile.images.model_copy(update={"crop": 32}),
            "timing": job.profile.timing.model_copy(update={"rounds": 4}),
        }
    )
    step, bare = timing.training_step, timing.bare_step
    monkeypatch.setattr(timing, "training_step", lambda *a: made.append("step") or step(*a))
    monkeypatch.setattr(timing, "bare_step", lambda *a: made.append("bare") or bare(*a))
    found = timing.timed(pedantic_benchmark(), replace(job, profile=profile))
    assert len(made) == protocol.step_count(len(found["seconds"]))
