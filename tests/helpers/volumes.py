"""Small problems on volumes, in float64: wavelets of Haar on two levels, on cubes of 16."""

from __future__ import annotations

from dataclasses import replace

from bench.operators import peaceman_rachford, primal_dual
from bench.penalties import colours, huber, tv
from bench.tasks import Problem, Task, build_problem, deblurring_volume, mri_volume
from bench.tasks.images import Layout
from tests.helpers.problems import packaged_images
from tests.helpers.tensors import F64

SMALL = {"wavelet": "haar", "levels": 2}
BLUR = deblurring_volume(replace(huber(), **SMALL))
MRI = mri_volume(replace(colours(0.01, 0.02), **SMALL))
TASKS = {
    "blur": BLUR,
    "motion": deblurring_volume(replace(huber(), **SMALL), blur=0.8, motion=4),
    "blur by peaceman_rachford": replace(BLUR, splitting=peaceman_rachford()),
    "mri": MRI,
    "mri by peaceman_rachford": replace(MRI, splitting=peaceman_rachford()),
    "tv": replace(deblurring_volume(tv(smoothing=0.2, ridge=0.2)), splitting=primal_dual()),
}


def volume_problem(task: Task, side: int = 16, seed: int = 0, train: int = 1) -> Problem:
    """A problem on ``train`` phantoms of ``side``³ and one to test on."""
    return build_problem(task, packaged_images(), Layout(side, train, 1), seed, dtype=F64)
