"""Runs a matrix: quality cells in fresh processes side by side, then the timings alone."""

from __future__ import annotations

import gc
import io
import math
import os
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeAlias, TypeVar

import numpy as np
import torch
from safetensors.torch import save as write_safetensors

from .budget import Budget
from .determinism import deterministic
from .errors import UserError, in_a_line
from .files import Unwritable, make_folder, write_atomically
from .images import Images, find_images
from .isolate import Ended, Pool
from .locks import POLL, held, machine
from .matrix import AS_THEY_COME, Cell, Networks, Profile, cells, check_warm, parse_solver
from .measure import Measured, measure
from .memory import largest_allocated, out_of_memory
from .own import blamed
from .precision import whole_float32
from .provenance import provenance
from .records import FINISHED, Kind, Manifest, Record, Store, key_of, settings
from .tasks import instance
from .timings import run_cost

if TYPE_CHECKING:
    from .cluster import Cluster

Progress = Callable[[str, int, int], None]
"""Told what was finished last, how many are done, and how many there are."""

Said: TypeAlias = tuple[str, str]
"""What a process says in the end: ``stored``, ``elsewhere`` or ``unwritable``, and why."""
Given = ParamSpec("Given")
Answer = TypeVar("Answer")
ARRIVAL = 30.0
"""Seconds that a file written elsewhere may take to show on a shared disk."""


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
        given = settings(self.profile, self.images.digest, torch.device(self.device), self.kind)
        return Record(
            self.key,
            self.kind,
            self.cell.task.label,
            self.cell.solver.label,
            self.cell.solver.composition,
            self.cell.seed,
            status,
            reason,
            given | ({"files": files} if (files := self.cell.files) else {}),
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
        sources = {cell.task.label: cell.task_sources for cell in matrix}
        for task in tasks:
            with blamed(task.label, sources[task.label]):
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
    """Measure a quality cell here and now; an exception becomes a record with the status ``error`` or ``oom``.

    With ``out`` the record is published there, and before it the weights that a network learned and the pictures
    of the first seed; a long training leaves checkpoints there until then.

    Raises:
        Unwritable: the disk is full, or may only be read.
    """
    device = torch.device(job.device)
    checkpoint = None if out is None else out / "checkpoints" / f"{job.key}.pt"
    if checkpoint is not None and job.profile.training.checkpoint:
        make_folder(checkpoint.parent)
    begin = time.perf_counter()
    with deterministic() as undetermined, whole_float32():
        found = _attempt(job, device, checkpoint, False, out)
        if found.status == "oom":
            gc.collect()
            if device.type == "cuda":
                torch.cuda.empty_cache()
            found = _attempt(job, device, checkpoint, True, out)
    where = provenance(device) | {"undetermined": sorted(undetermined)} | _spent(begin, device)
    record = job.record(found.status, found.reason, found.values, where)
    if out is not None:
        _publish(job, record, found, out)
        if checkpoint is not None and record.status in FINISHED:
            checkpoint.unlink(missing_ok=True)
    return record


def _spent(begin: float, device: torch.device) -> dict[str, object]:
    """Seconds since ``begin``, and the most bytes that this process and its GPU have held."""
    gpu = largest_allocated(device) if device.type == "cuda" else None
    # Kilobytes on Linux, bytes on a Mac.
    unit = 1 if sys.platform == "darwin" else 1024
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return {"seconds": time.perf_counter() - begin, "peak_rss": rss, "peak_gpu": gpu}


def _attempt(
    job: Job, device: torch.device, checkpoint: Path | None, alone: bool, out: Path | None
) -> Measured:
    try:
        # The key of a reference does not know the files that a task is from.
        files = [source.digest for source in job.cell.task_sources]
        shared = None if out is None else Path(out, "references", *files)
        return measure(job.cell, job.profile, job.images, device, checkpoint, alone, shared)
    except Unwritable:
        raise
    except Exception as error:
        line = in_a_line(error, 300)
        # Its traceback would keep everything alive that the attempt had allocated.
        error.__traceback__ = None
        return Measured("oom" if out_of_memory(error) else "error", line)


def _publish(job: Job, record: Record, found: Measured, out: Path) -> None:
    store = Store(out)
    if found.weights:
        make_folder(out / "weights")
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
    cluster: Cluster | None = None,
    within: float = math.inf,
    progress: Progress = lambda what, done, total: None,
    notice: Callable[[str], None] = lambda line: None,
) -> Counter[str]:
    """Measure what of a profile is missing in ``out``.

    Args:
        profile: the matrix.
        out: folder of the run; made if missing.
        images: a folder or the name of a data set; ``None`` for the packaged ones.
        device: where to compute.
        tasks, solvers: measure only these of the profile's; those of a user's own, ``PATH/FILE.py:NAME``, are added
            to it.
        networks: how the denoisers are taken.
        jobs: processes side by side; ``None`` for one a core, and one on a GPU.
        cluster: where to run them, in place of processes of this one.
        within: seconds after which nothing is measured any more; not with a ``cluster``.
        progress: called after each cell.
        notice: told what a user should know, in a line.

    Returns:
        How many cells ended with which status; ``stored`` counts those found finished, ``left`` those that there was
        no time for.

    Raises:
        UserError: bad input; nothing has been written then.
        Unwritable: the disk is full, or may only be read; what was finished is stored.
        cluster.Lost: the scheduler of the cluster is gone; what was finished is stored.
    """
    everything = cells(profile, tasks, solvers, networks, whole=True)
    budget = Budget(within, tuple(parse_solver(text).label for text in profile.first))
    chosen = cells(profile, tasks, solvers, networks)
    parts = list(zip(profile.parts(), everything, strict=True))
    found = images_for(parts, images)
    # A timing's key and the provenance name the machine that computes.
    there = cluster.ask if cluster is not None else _here
    quality, cost = there(plan, parts, found, device)
    where = there(provenance, device)
    store = Store(out)
    keys = [job.key for job in (*quality, *cost)]
    store.claim(Manifest(profile.name, profile.summary, found.source, str(device), keys))
    for key in store.damaged(keys):
        notice(f"the record {key} was damaged: it is in {store.set_aside(key)} now, and its cell runs again")
    labels = {str(cell) for part in chosen for cell in part}
    wanted = [job for job in (*quality, *cost) if str(job.cell) in labels]
    job_of, missing = {job.key: job for job in wanted}, list[Job]()
    for job in wanted:
        record = store.read(job.key)
        if record is not None:
            budget.tell(job, record)
        if record is None or record.status not in FINISHED:
            missing.append(job)
    outcome = Counter({"stored": len(wanted) - len(missing)})

    def tell(record: Record) -> None:
        outcome[record.status] += 1
        budget.tell(job_of[record.key], record)
        done = sum(outcome.values())
        what = f"{record.task} · {record.crop}² × {record.batch} · {record.solver} · {record.kind}"
        progress(what, done, len(wanted))

    progress("", outcome["stored"], len(wanted))
    workers = jobs or (1 if device.type == "cuda" else os.cpu_count() or 1)
    for some in budget.rounds(missing):
        untimed, timings = ([job for job in some if job.kind == kind] for kind in ("quality", "cost"))
        for record in _run_quality(untimed, store, workers, cluster, where, budget):
            tell(record)
        if cluster is None or cluster.here or not timings:
            timed = run_cost(timings, store, budget)
        else:
            from .remote import run_cost_there

            timed = run_cost_there(timings, store, cluster, where)
        for record in timed:
            tell(record)
    if math.isfinite(within) and (left := len(wanted) - sum(outcome.values())):
        outcome["left"] = left
    return outcome


def _here(what: Callable[Given, Answer], *args: Given.args, **kwargs: Given.kwargs) -> Answer:
    return what(*args, **kwargs)


@dataclass(frozen=True, slots=True)
class Work:
    """What a process of a cell does: everything but telling how it ended, which its record does."""

    out: Path

    def __call__(self, job: Job) -> Said:
        """Measure the cell and publish its record, unless another run is at it."""
        store = Store(self.out)
        try:
            with held(store.lock(job.key)) as free, held(machine(), shared=True, wait=True):
                if not free:
                    return "elsewhere", ""
                if not store.finished(job.key):
                    run_cell(job, self.out)
                return "stored", ""
        except Unwritable as error:
            return "unwritable", str(error.strerror)


def _run_quality(
    jobs: list[Job],
    store: Store,
    workers: int,
    cluster: Cluster | None,
    where: dict[str, object],
    budget: Budget,
) -> Iterator[Record]:
    """Each in a process of its own; those that another run is at are waited for.

    What the budget has no time for is left out, and what it ends leaves no record.
    """
    limit = {job.key: job.profile.limit for job in jobs}
    for seconds in sorted(set(limit.values())):
        ready, waiting = [job for job in jobs if limit[job.key] == seconds], list[Job]()
        while ready and budget.left() > 0:
            forks, work = ready[0].device == "cpu", Work(store.folder.absolute())
            beside = Pool(work, min(workers, len(ready)), seconds, forks, budget.end)
            pool_of = beside if cluster is None else cluster.pool(work, work.out, seconds, forks)
            # Waited for here, where no cell's time runs yet, until nobody is timing.
            quiet = held(machine(), shared=True, wait=True) if cluster is None else nullcontext()
            with quiet, pool_of as pool:
                for ended in pool(budget.one_by_one(ready)):
                    if ended.late and budget.left() <= 0:
                        continue
                    said, why = ended.answer or ("", "")
                    if said == "unwritable":
                        raise Unwritable(0, why)
                    if said == "elsewhere":
                        waiting.append(ended.task)
                        continue
                    yield record_of(ended, store, seconds, where)
            ready = _let_go(waiting, store)
            waiting = [job for job in waiting if job not in ready]


def _let_go(jobs: list[Job], store: Store) -> list[Job]:
    """Those that no other run is at any more; waits until there is one. None of none."""
    while jobs:
        time.sleep(POLL)
        free: list[Job] = []
        for job in jobs:
            with held(store.lock(job.key)) as mine:
                free += [job] * mine
        if free:
            return free
    return []


def record_of(ended: Ended[Job], store: Store, seconds: float, where: dict[str, object]) -> Record:
    """The record that a process left, or one that says why it left none; ``where`` is its provenance."""
    job = ended.task
    record = store.read(job.key) if ended.answer else None
    end = time.monotonic() + ARRIVAL
    while record is None and ended.answer and time.monotonic() < end:
        time.sleep(POLL)
        record = store.read(job.key)
    if record is None:
        status = "timeout" if ended.late else "killed"
        reason = f"not done after {seconds:g} s" if ended.late else ended.reason or "it left no record"
        record = job.record(status, reason, {}, where)
        store.write(record)
    return record
