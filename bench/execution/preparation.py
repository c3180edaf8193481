"""What a run needs before it begins: images that every task of it takes, and its cells as jobs."""

from __future__ import annotations

import torch

from ..config.matrix import Cell, check_warm_start
from ..config.profile_schema import Profile
from ..config.user_files import blame_user_files
from ..records.job import Job
from ..records.record import Kind, key_of, settings
from ..tasks import build_problem
from ..tasks.images import Images, find_images


def images_for(parts: list[tuple[Profile, list[Cell]]], source: str | None) -> Images:
    """The images of a run, after trying every task of it on them, so that a misfit ends it before it begins.

    Args:
        parts: parts of a profile, with their cells.
        source: a folder or the name of a data set; ``None`` for the packaged ones.

    Raises:
        UserError: no images, a crop that an image, the transform or the blur cannot take, or warm starts of an
            operator that has layers of its own.
    """
    colour = any(cell.task.channels == 3 for _, matrix in parts for cell in matrix)
    images = find_images(source, colour=colour)
    for profile, matrix in parts:
        tasks = {cell.task.label: cell.task for cell in matrix}.values()
        check_warm_start(profile, list(tasks))
        sources = {cell.task.label: cell.task_sources for cell in matrix}
        for task in tasks:
            with blame_user_files(task.label, sources[task.label]):
                build_problem(task, images, profile.images.layout(), profile.seeds[0])
    return images


def plan_jobs(
    parts: list[tuple[Profile, list[Cell]]], images: Images, device: torch.device
) -> tuple[list[Job], list[Job]]:
    """The quality jobs and the cost jobs of a matrix; seconds do not depend on the seed, so one will do."""

    def job(kind: Kind, profile: Profile, cell: Cell) -> Job:
        given = settings(profile, images.digest, device, kind)
        return Job(key_of(cell, given, kind), kind, cell, profile, images, str(device))

    quality = [job("quality", profile, cell) for profile, matrix in parts for cell in matrix]
    cost = [job("cost", p, cell) for p, matrix in parts for cell in matrix if cell.seed == p.seeds[0]]
    return quality, cost
