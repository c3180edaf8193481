"""Float32 is float32: TF32 is off wherever something is measured, and as it was afterwards."""

from __future__ import annotations

import pytest
import torch

from bench.config.matrix import cells, load_profile
from bench.execution import cell_process
from bench.execution.preparation import plan_jobs
from bench.studies.certificates import certify
from bench.tasks.images import find_images
from bench.timing import test_step as timing
from bench.utils.precision import BACKENDS, disable_tf32


@pytest.fixture
def rounding():
    """As torch comes on a GPU, and worse: both may round."""
    before = [backend.allow_tf32 for backend in BACKENDS]
    for backend in BACKENDS:
        backend.allow_tf32 = True
    yield
    for backend, was in zip(BACKENDS, before, strict=True):
        backend.allow_tf32 = was


def allowed():
    return [backend.allow_tf32 for backend in BACKENDS]


@pytest.mark.usefixtures("rounding")
def test_nothing_rounds_inside_and_what_was_set_is_set_again():
    with disable_tf32():
        assert allowed() == [False, False]
    assert allowed() == [True, True]
    with pytest.raises(ZeroDivisionError), disable_tf32():
        1 / 0  # noqa: B018
    assert allowed() == [True, True]


@pytest.mark.usefixtures("rounding")
def test_cells_timings_and_certificates_are_measured_so(tiny_file, monkeypatch):
    seen = []

    def look(*_, **__):
        seen.append(allowed())
        raise KeyboardInterrupt

    profile, images = load_profile(str(tiny_file)), find_images()
    parts = list(zip(profile.parts(), cells(profile), strict=True))
    (job, *_), (cost, *_) = plan_jobs(parts, images, torch.device("cpu"))
    for module, name in ((cell_process, "measure"), (timing, "build_problem"), (certify, "build_problem")):
        monkeypatch.setattr(module, name, look)
    for call in (
        lambda: cell_process.run_cell(job, None),
        lambda: timing.timed(None, cost),
        lambda: certify.examine(job.cell, profile, images, torch.device("cpu")),
    ):
        with pytest.raises(KeyboardInterrupt):
            call()
    assert seen == [[False, False]] * 3
    assert allowed() == [True, True]
