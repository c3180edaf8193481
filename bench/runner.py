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
from safetensors.torch import save as write_safetensors

from .errors import UserError
from .images import Images, find_images
from .matrix import AS_THEY_COME, Cell, Networks, Profile, cells, check_warm
from .measure import Measured, measure
from .provenance import provenance
from .records import FINISHED, Kind, Manifest, Record, Store, key_of, settings, write_atomically
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
            self.cell.solver.composition,
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
        check_warm(profile, list(tasks))
        for task in tasks:
            instance(task, images, profile.images.layout(), profile.seeds[0])
    return images


def plan(
    parts: list[tuple[Profile, list[Cell]]], images: Images, device: torch.device
) -> tuple[list[Job], list[Job]]:
    """The quality jobs and the cost jobs of a matrix; seconds do not depend on the seed, so one will do."""

    def job(kind: Kind, profile: Profile, cell: Cell) -> Job:
        given = settings(profile, images.digest, device, kind)
        return Job(key_of(cell, given, kind), kind, cell, profile, images, str(device))

    quality = [job("quality", profile, cell) for profile, matrix in parts for cell in matrix]
    cost = [job("cost", p, cell) for p, matrix in parts for cell in matrix if cell.seed == p.seeds[0]]
    return quality, cost


def run_cell(job: Job, out: Path | None) -> Record:
    """Measure a quality cell here and now; an exception becomes a record with the status ``error``.

    With ``out`` the record is published there, and before it the weights that a network learned and the pictures
    of the first seed; a long training leaves checkpoints there until then.
    """
    device = torch.device(job.device)
    checkpoint = None if out is None else out / "checkpoints" / f"{job.key}.pt"
    if checkpoint is not None and job.profile.training.checkpoint:
        checkpoint.parent.mkdir(exist_ok=True)
    try:
        found = measure(job.cell, job.profile, job.images, device, checkpoint)
        record = job.record(found.status, found.reason, found.values, provenance(device))
    except Exception as error:
        line = " ".join(str(error).split())[:300]
        record, found = (
            job.record("error", f"{type(error).__name__}: {line}", {}, provenance(device)),
            Measured(),
        )
    if out is not None:
        _publish(job, record, found, out)
        if checkpoint is not None and record.status in FINISHED:
            checkpoint.unlink(missing_ok=True)
    return record


def _publish(job: Job, record: Record, found: Measured, out: Path) -> None:
    store = Store(out)
    if found.weights:
        (out / "weights").mkdir(exist_ok=True)
        tensors = {name: tensor.contiguous() for name, tensor in found.weights.items()}
        write_atomically(out / "weights" / f"{job.key}.safetensors", write_safetensors(tensors))
    if found.panels and job.cell.seed == job.profile.seeds[0]:
        buffer = io.BytesIO()
        pictures = {name: image.numpy() for name, image in found.panels.items()}
        np.savez_compressed(buffer, allow_pickle=False, **pictures)
        write_atomically(store.rows / f"{job.key}.npz", buffer.getvalue())
    store.write(record)


def run(
    profile: Profile,
    out: Path,
    *,
    images: str | None = None,
    device: torch.device,
    tasks: list[str] | None = None,
    solvers: list[str] | None = None,
    networks: Networks = AS_THEY_COME,
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
        networks: how the denoisers are taken.
        jobs: processes side by side; ``None`` for one a core, and one on a GPU.
        progress: called after each cell.

    Returns:
        How many cells ended with which status; ``stored`` counts those found finished.

    Raises:
        UserError: bad input; nothing has been written then.
    """
    from .cost import measure_costs

    everything = cells(profile, networks=networks)
    chosen = cells(profile, tasks, solvers, networks)
    parts = list(zip(profile.parts(), everything, strict=True))
    found = images_for(parts, images)
    quality, cost = plan(parts, found, device)
    store = Store(out)
    keys = [job.key for job in (*quality, *cost)]
    store.claim(Manifest(profile.name, profile.summary, found.source, str(device), keys))
    labels = {str(cell) for part in chosen for cell in part}
    wanted = [job for job in (*quality, *cost) if str(job.cell) in labels]
    missing = [job for job in wanted if not store.finished(job.key)]
    outcome = Counter({"stored": len(wanted) - len(missing)})

    def tell(record: Record) -> None:
        outcome[record.status] += 1
        done = sum(outcome.values())
        what = f"{record.task} · {record.crop}² × {record.batch} · {record.solver} · {record.kind}"
        progress(what, done, len(wanted))

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
