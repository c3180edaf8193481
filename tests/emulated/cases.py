"""The tasks and solvers of the tests and the table: every one that the rosters offer, at small sizes."""

from __future__ import annotations

import functools
from pathlib import Path

import torch

from bench.denoisers.architectures import COMPACT, GradientStep
from bench.denoisers.weights import weight_bytes
from bench.operators import with_weights
from bench.tasks import Problem, Task, build_problem
from bench.tasks.images import Images, Layout, find_images
from tests.helpers.problems import task_by

CROP = 32
"""Pixels of a side: the least that three levels of db4, and the motion blur, take."""
SAMPLES = 2

TASKS = (
    "denoising(huber)",
    "denoising_colour(l1)",
    "denoising_colour(orientations_colours)",
    "deblurring(l1)",
    "deblurring(union)",
    "deblurring(orientations(coupled=True))",
    "deblurring_colour(huber)",
    "deblurring_colour(orientations_colours(coupled=True))",
    "inpainting(orientations)",
    "inpainting(union(0.01, 0.02))",
    "inpainting_colour(colours)",
    "inpainting_colour(union)",
    "denoising(dncnn)",
    "denoising_colour(drunet)",
    "deblurring(drunet(learn_weights=True))",
    "deblurring(scico)",
    "deblurring_colour(drunet(learn_weights=True))",
    "inpainting(drunet(layers=3))",
    "inpainting(gsdrunet)",
    "inpainting_colour(dncnn(learn_weights=True))",
    "deblurring(huber) by peaceman_rachford",
    "inpainting_colour(union(0.01, 0.02)) by douglas_rachford(depth=10)",
    "denoising_colour(colours(0.0, 0.02)) by half_quadratic",
    "deblurring(dncnn) by douglas_rachford(0.7)",
    "deblurring(tv) by primal_dual",
    "inpainting_colour(tv(colours=True)) by chambolle_pock",
    "denoising(tgv) by chambolle_pock",
    "deblurring(filters) by primal_dual",
    "denoising(crr)",
    "deblurring(wcrr(circular=True))",
    "inpainting(icnn)",
    "denoising(foe)",
    "deblurring(crr(circular=True)) by douglas_rachford",
    "mri(colours(0.01, 0.02))",
    "mri(huber) by douglas_rachford",
    "mri_coils(huber)",
    "tomography(huber)",
    "super_resolution(huber, factor=4)",
    "super_resolution(l1) by half_quadratic",
    "demosaicing(orientations_colours)",
    "poisson(huber)",
    "deblurring_volume(huber)",
    "mri_volume(colours(0.01, 0.02)) by douglas_rachford",
)
"""Every penalty and denoiser, every physics, one and three channels, learned weights, layers, every splitting."""

REPEATED = (
    "denoising_colour(l1)",
    "deblurring(union)",
    "inpainting(orientations)",
    "inpainting_colour(union)",
    "denoising_colour(drunet)",
    "deblurring(drunet(learn_weights=True))",
)
"""Tasks whose physics and prior each stand in another task too: slow tests."""

SOLVERS = (
    "unrolled(3)",
    "checkpointed(5, 2)",
    "jfb(4)",
    "restarted_jfb(2, 2)",
    "neumann(4, 4)",
    "phantom(3, 2)",
    "deq(0.001)",
    "implicit(picard(0.1), picard(0.1))",
    "implicit(nesterov(0.01), gmres(0.001))",
    "implicit(quasi_newton(0.01), cg(0.01))",
    "implicit(anderson(0.01), cg(0.01))",
    "implicit(anderson(0.01, shared=True), shared(2))",
    "implicit(iterate(5), iterate(2))",
    "implicit(anderson(0.01), prox_cg(0.01))",
    "estimated(0.1)",
    "certified(0.5)",
)
"""Every estimator, and every solve that may stand in one."""

PEERS = (
    "deepinv_unfolded(4)",
    "deepinv_jfb(6)",
    "deepinv_deq(6, 4)",
    "deepinv_deq(6, 4, anderson=True)",
    "deepinv_anderson(6, 4)",
    "torchdeq_phantom(4, 2)",
    "torchdeq_ift(6, 4)",
    "torchdeq_anderson(6, 4)",
    "torchdeq_broyden(6, 4)",
)
"""Every solver of another library."""

OF_ENERGIES = ("study_ift(0.01, 0.001)", "study_jfb(0.01)")
"""Every solver that needs an energy."""


def task_of(text: str, folder: Path) -> Task:
    """The task; weights that nobody ships are drawn and stored in ``folder``."""
    task = task_by(text)
    if "gsdrunet" not in text:
        return task
    file = folder / "gsdrunet.safetensors"
    if not file.exists():
        torch.manual_seed(0)
        file.write_bytes(weight_bytes(GradientStep(task.channels, COMPACT), "gsdrunet"))
    return Task(task.label, task.physics, task.noise, with_weights(task.prior, str(file)), task.step)


@functools.cache
def _images(colour: bool) -> Images:
    return find_images(colour=colour)


def problem(
    task: Task, device: torch.device | str, dtype: torch.dtype = torch.float64, crop: int = CROP
) -> Problem:
    """An instance of seed 0 with two images to train and one to test on."""
    layout = Layout(crop, SAMPLES, 1)
    return build_problem(task, _images(task.channels == 3), layout, 0, dtype=dtype, device=device)
