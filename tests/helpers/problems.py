"""Small problems of the benchmark, in float64."""

from __future__ import annotations

import functools
from dataclasses import replace

import torch
from torch import Tensor

from bench.config.call_syntax import parse_call
from bench.config.matrix import parse_task
from bench.measurement.training import parameters
from bench.operators import SPLITTINGS
from bench.tasks import Problem, Task, build_problem
from bench.tasks.images import Images, Layout, find_images
from tests.helpers.tensors import F64


@functools.cache
def packaged_images(colour: bool = False) -> Images:
    return find_images(colour=colour)


def task_by(text: str) -> Task:
    """The task of a call, or of ``TASK by SPLITTING``."""
    call, _, splitting = text.partition(" by ")
    task = parse_task(call)
    return replace(task, splitting=parse_call(splitting, SPLITTINGS, "splitting")) if splitting else task


def small_problem(
    task: Task | str = "deblurring(huber)",
    train: int = 1,
    size: int = 32,
    seed: int = 0,
    dtype: torch.dtype = F64,
    **options: str,
) -> Problem:
    """A problem on ``train`` square crops of the packaged images and one to test on."""
    task = task_by(task) if isinstance(task, str) else task
    images = packaged_images(task.channels == 3)
    return build_problem(task, images, Layout(size, train, 1), seed, dtype=dtype, **options)


def learned_values(problem: Problem) -> Tensor:
    return torch.cat([p.detach().flatten() for p in parameters(problem)])
