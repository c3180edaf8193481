"""Prepare a run: images that fit all of its tasks, and its cells as jobs."""

from __future__ import annotations

from dataclasses import replace

import torch

from ..config.matrix import Cell, check_warm_start
from ..config.profile_schema import Profile
from ..config.user_files import blame_user_files
from ..records.job import Job
from ..records.record import Kind, key_of, settings
from ..tasks import Task, build_problem
from ..tasks.images import Images, Layout, find_images


def images_for(parts: list[tuple[Profile, list[Cell]]], source: str | None) -> Images:
    """Load the images of a run, and build each task once on each layout, so that a misfit ends the run at its start.

    ``source`` is a folder or the name of a data set; ``None`` for the packaged images.

    Raises:
        UserError: there are no images; a crop does not fit an image, the transform or the blur; or the profile asks for
            warm starts of an operator that has layers of its own.
    """
    colour = any(cell.task.channels == 3 for _, cells in parts for cell in cells)
    images = find_images(source, colour=colour)
    built = set[tuple[Task, Layout]]()
    for profile, cells in parts:
        check_warm_start(profile, [cell.task for cell in cells])
        layout = profile.images.layout()
        # Crops are cut from the files in turn, so these counts are enough to read every file.
        counts = {
            "train": min(layout.train, len(images.train)),
            "validation": min(layout.validation, len(images.train)),
            "test": min(layout.test, len(images.test)),
        }
        layout = replace(layout, **counts)
        for cell in cells:
            # Tasks that differ only in their label or in how T is executed are equal.
            if (case := (cell.task, layout)) not in built:
                built.add(case)
                with blame_user_files(cell.task.label, cell.task_sources):
                    build_problem(cell.task, images, layout, profile.seeds[0])
    return images


def plan_jobs(
    parts: list[tuple[Profile, list[Cell]]], images: Images, device: torch.device
) -> tuple[list[Job], list[Job]]:
    """The quality jobs and the timing jobs; a timing needs one seed only, since seconds do not depend on it."""

    def job(kind: Kind, profile: Profile, cell: Cell) -> Job:
        values = settings(profile, images.digest, device, kind)
        return Job(key_of(cell, values, kind), kind, cell, profile, images, str(device))

    quality = [job("quality", profile, cell) for profile, cells in parts for cell in cells]
    timing = [job("cost", p, cell) for p, cells in parts for cell in cells if cell.seed == p.seeds[0]]
    return quality, timing
