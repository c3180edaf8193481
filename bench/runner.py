"""Runs a matrix: quality cells in fresh processes side by side, then the timings alone."""

from __future__ import annotations

import io
import multiprocessing
import os
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from .errors import UserError
from .images import Images, find_images
from .matrix import Cell, Profile, cells
from .measure import measure
from .provenance import provenance
from .records import Kind, Manifest, Record, Store, key_of, settings, write_atomically
from .tasks import instance

Progress = Callable[[str, int, int], None]
"""Told what was finished last, how many are done, and how many there are."""


@dataclass(frozen=True, slots=True)
class Job:
    """One cell, ready to be measured in any process."""

    key: str
    kind: Kind
    cell: Cell
    profile: Profile
    images: Images
    device: str

    def record(self, status: str, reason: str, values: dict[str, object], where: dict[str, object]) -> Record:
        """The record of this cell."""
        return Record(
            self.key,
            self.kind,
            self.cell.task.label,
            self.cell.solver.label,
            f"{self.cell.solver.reach!r} × {self.cell.solver.pull!r}",
            self.cell.seed,
            status,
            reason,
            settings(self.profile, self.images.digest, torch.device(self.device), self.kind),
            values,
            where,
        )


def pick_device(text: str) -> torch.device:
    """``cpu``, ``cuda`` or ``cuda:1``; ``auto`` takes a GPU where there is one. Raises ``UserError``."""
    if text == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(text)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda"):
        raise UserError(f"unknown device {text!r}: give cpu, cuda or auto")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UserError(
            f"--device {text}: this machine has {torch.cuda.device_count()} CUDA devices; try --device cpu"
        )
    return device


def images_for(profile: Profile, source: str | None, matrix: list[Cell]) -> Images:
    """The images of a run, after trying every task of it on them, so that a misfit ends it before it begins.

    Raises:
        UserError: no images, or a crop that an image, the transform or the blur cannot take.
    """
    images = find_images(source, colour=any(cell.task.channels == 3 for cell in matrix))
    for task in {cell.task.label: cell.task for cell in matrix}.values():
        instance(task, images, profile.images.layout(), profile.seeds[0])
    return images


def plan(
    profile: Profile, images: Images, device: torch.device, matrix: list[Cell]
) -> tuple[list[Job], list[Job]]:
    """The quality jobs and the cost jobs of a matrix; seconds do not depend on the seed, so one will do."""

    def job(kind: Kind, cell: Cell) -> Job:
        given = settings(profile, images.digest, device, kind)
        return Job(key_of(cell, given, kind), kind, cell, profile, images, str(device))

    quality = [job("quality", cell) for cell in matrix]
    cost = [job("cost", cell) for cell in matrix if cell.seed == profile.seeds[0]]
    return quality, cost


def run_cell(job: Job, out: Path | None) -> Record:
    """Measure a quality cell here and now; an exception becomes a record with the status ``error``.

    With ``out`` the record is published there, the pictures of the first seed before it.
    """
    device = torch.device(job.device)
    try:
        found = measure(job.cell, job.profile, job.images, device)
        record = job.record(found.status, found.reason, found.values, provenance(device))
        panels = found.panels
    except Exception as error:
        line = " ".join(str(error).split())[:300]
        record = job.record("error", f"{type(error).__name__}: {line}", {}, provenance(device))
        panels = {}
    if out is not None:
        if panels and job.cell.seed == job.profile.seeds[0]:
            buffer = io.BytesIO()
            np.savez_compressed(
                buffer, allow_pickle=False, **{n: image.numpy() for n, image in panels.items()}
            )
            write_atomically(Store(out).rows / f"{job.key}.npz", buffer.getvalue())
        Store(out).write(record)
    return record


def run(
    profile: Profile,
    out: Path,
    *,
    images: str | None = None,
    device: torch.device,
    tasks: list[str] | None = None,
    solvers: list[str] | None = None,
    jobs: int | None = None,
    progress: Progress = lambda what, done, total: None,
) -> Counter[str]:
    """Measure what of a profile is missing in ``out``.

    Args:
        profile: the matrix.
        out: folder of the run; made if missing.
        images: a folder or the name of a data set; ``None`` for the packaged ones.
        device: where to compute.
        tasks, solvers: measure only these of the profile's.
        jobs: processes side by side; ``None`` for one a core, and one on a GPU.
        progress: called after each cell.

    Returns:
        How many cells ended with which status; ``stored`` counts those found finished.

    Raises:
        UserError: bad input; nothing has been written then.
    """
    from .cost import measure_costs

    everything = cells(profile)
    chosen = cells(profile, tasks, solvers)
    found = images_for(profile, images, everything)
    quality, cost = plan(profile, found, device, everything)
    store = Store(out)
    keys = [job.key for job in (*quality, *cost)]
    store.claim(Manifest(profile.name, profile.summary, found.source, str(device), keys))
    labels = {str(cell) for cell in chosen}
    wanted = [job for job in (*quality, *cost) if str(job.cell) in labels]
    missing = [job for job in wanted if not store.finished(job.key)]
    outcome = Counter({"stored": len(wanted) - len(missing)})

    def tell(record: Record) -> None:
        outcome[record.status] += 1
        done = sum(outcome.values())
        progress(f"{record.task} · {record.solver} · {record.kind}", done, len(wanted))

    progress("", outcome["stored"], len(wanted))
    workers = jobs or (1 if device.type == "cuda" else os.cpu_count() or 1)
    _run_quality([job for job in missing if job.kind == "quality"], out, workers, tell)
    for record in measure_costs([job for job in missing if job.kind == "cost"]):
        store.write(record)
        tell(record)
    return outcome


def _run_quality(jobs: list[Job], out: Path, workers: int, tell: Callable[[Record], None]) -> None:
    if not jobs:
        return
    # Fresh processes: a fork would carry torch's thread pools, and on a GPU its context, into the child.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(jobs)), mp_context=context) as pool:
        waiting = [pool.submit(run_cell, job, out) for job in jobs]
        try:
            for future in as_completed(waiting):
                tell(future.result())
        except BrokenProcessPool as error:
            raise UserError(
                "a worker process was killed (out of memory?): what was finished is stored; run the same "
                "line again, perhaps with --jobs 1"
            ) from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
