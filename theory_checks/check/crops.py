"""A user's task on small crops of real photographs."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bench.tasks import Batch, Problem, Task, build_problem
from bench.tasks.images import Layout, find_images
from bench.utils.errors import UserError
from solvers import Map

SIDES = (32, 64)
"""Sides of the crops in pixels; the first that the task takes is used."""


@dataclass(frozen=True, slots=True)
class TaskOnCrops:
    """A task on two small crops.

    Attributes:
        problem: the task with its images.
        batch: the two training crops.
        T: the map for them.
        x: its start.
    """

    problem: Problem
    batch: Batch
    T: Map
    x: Tensor


def build_task(task: Task, dtype: torch.dtype = torch.float64) -> TaskOnCrops:
    """Build a task on the smallest crops that it takes.

    Raises:
        UserError: it takes none of them.
    """
    images = find_images(colour=task.channels == 3)
    for side in SIDES:
        try:
            problem = build_problem(task, images, Layout(side, 2, 1), 0, dtype=dtype)
        except UserError:
            if side == SIDES[-1]:
                raise
        else:
            batch = problem.train
            return TaskOnCrops(problem, batch, problem.bind(batch), problem.start(batch))
    raise AssertionError("SIDES is empty")
