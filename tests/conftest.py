"""Settings of the whole suite: seeded, derandomised property tests."""

from __future__ import annotations

import gc
import os
import sys
import tempfile

import pytest
import torch
from hypothesis import settings

from bench import ROOT

pytest.register_assert_rewrite("tests.helpers")
settings.register_profile("ci", derandomize=True, deadline=None, max_examples=25)
settings.register_profile("deep", deadline=None, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


MARKS = {"browser": "browser", "tiny_run": "process", "wheel": "process"}
"""Markers of the tests that use a fixture, directly or through other fixtures."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:
        for fixture in MARKS.keys() & set(item.fixturenames):
            item.add_marker(MARKS[fixture])


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    """The wheel of this checkout, built without a network by the hatchling that is installed."""
    from tests.helpers.installed import uv  # only once its asserts are to be rewritten

    folder = tmp_path_factory.mktemp("wheel")
    options = ("--no-build-isolation", "--python", sys.executable, "--out-dir", str(folder))
    uv("build", "--wheel", *options, str(ROOT))
    (file,) = folder.glob("*.whl")
    return file


@pytest.fixture(scope="session", autouse=True)
def own_machine(tmp_path_factory):
    """A folder for temporary files that no other worker has: what is timed waits for all runs whose lock is there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(tmp_path_factory.mktemp("tmp")))
        patch.setattr(tempfile, "tempdir", None)
        yield


@pytest.fixture(scope="module", autouse=True)
def frozen():
    """What was imported before a file's tests is no garbage: a look for some takes half a second, in every cell."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)
