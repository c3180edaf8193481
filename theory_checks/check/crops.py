"""A user's task on small crops of real photographs."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bench.errors import UserError
from bench.images import Layout, find_images
from bench.tasks import Batch, Instance, Task, instance
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

    problem: Instance
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
            problem = instance(task, images, Layout(side, 2, 1), 0, dtype=dtype)
        except UserError:
            if side == SIDES[-1]:
                raise
        else:
            batch = problem.train
            return TaskOnCrops(problem, batch, problem.bind(batch), problem.start(batch))
    raise AssertionError("SIDES is empty")
