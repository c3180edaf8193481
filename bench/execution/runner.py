"""Run a matrix: quality cells in processes side by side, then the timings, alone."""

from __future__ import annotations

import math
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import torch

from ..config.matrix import DEFAULT_DENOISERS, DenoiserOptions, cells, parse_solver
from ..config.profile_schema import Profile
from ..records.job import Job
from ..records.record import FINISHED, Record
from ..records.store import Manifest, Store
from ..utils.atomic_files import Unwritable
from ..utils.file_locks import POLL, file_lock, machine_lock
from ..utils.provenance import provenance
from .cell_process import CellWork, record_of
from .preparation import images_for, plan_jobs
from .process_pool import ProcessPool
from .time_budget import Budget
from .timing_run import run_remote_timings, run_timings

if TYPE_CHECKING:
    from .dask_cluster import Cluster

Progress = Callable[[str, int, int], None]
"""``(description of the last finished cell, finished cells, all cells) -> None``."""

CELLS_PER_PROCESS = 50
"""Cells a process on a GPU, where a process takes longer to start than a small cell to measure; on a CPU it is one."""
Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def run_profile(
    profile: Profile,
    out: Path,
    *,
    images: str | None = None,
    device: torch.device,
    tasks: list[str] | None = None,
    operators: list[str] | None = None,
    solvers: list[str] | None = None,
    networks: DenoiserOptions = DEFAULT_DENOISERS,
    jobs: int | None = None,
    cluster: Cluster | None = None,
    within: float = math.inf,
    cells_per_process: int | None = None,
    progress: Progress = lambda what, done, total: None,
    notice: Callable[[str], None] = lambda line: None,
) -> Counter[str]:
    """Measure the cells of a profile that ``out`` has no finished record of.

    Args:
        profile: the matrix.
        out: folder of the run; made if missing.
        images: a folder or the name of a data set; ``None`` for the packaged images.
        device: where to compute.
        tasks, operators, solvers: measure only these of the profile; those in a user's files are added to it:
            ``PATH/FILE.py:NAME``.
        networks: options of the denoisers.
        jobs: processes side by side; by default one a core, and one on a GPU.
        cluster: workers to use in place of processes of this machine.
        within: seconds after which nothing is measured any more; not with ``cluster``.
        cells_per_process: quality cells that a process measures before a new one takes its place; by default one, and
            ``CELLS_PER_PROCESS`` on a GPU. Always one with ``cluster``.
        progress: called after each cell.
        notice: called with each line that a user should see.

    Returns:
        Number of cells by status; ``stored`` had a finished record before, ``left`` did not fit into ``within``.

    Raises:
        UserError: bad input; nothing has been written.
        Unwritable: the disk is full or read-only; finished cells are stored.
        SchedulerLost: the scheduler of the cluster is gone; finished cells are stored.
    """
    every = cells(profile, tasks, solvers, networks, operators=operators, whole=True)
    budget = Budget(within, tuple(parse_solver(text).label for text in profile.first))
    chosen = cells(profile, tasks, solvers, networks, operators=operators)
    parts = list(zip(profile.parts(), every, strict=True))
    loaded = images_for(parts, images)
    if loaded.has_volumes:
        notice(loaded.in_words())
    # Keys of timings and the provenance name the machine that computes, which may be a worker's.
    call = cluster.call if cluster is not None else _call_here
    quality, timings = call(plan_jobs, parts, loaded, device)
    origin = call(provenance, device)
    store = Store(out)
    keys = [job.key for job in (*quality, *timings)]
    store.claim(Manifest(profile.name, profile.summary, loaded.source, str(device), keys))
    for key in store.damaged(keys):
        notice(f"the record {key} was damaged: it is in {store.set_aside(key)} now, and its cell runs again")
    labels = {str(cell) for part in chosen for cell in part}
    wanted = {job.key: job for job in (*quality, *timings) if str(job.cell) in labels}
    missing = list[Job]()
    for job in wanted.values():
        record = store.read(job.key)
        if record is not None:
            budget.learn(record)
        if record is None or record.status not in FINISHED:
            missing.append(job)
    outcome = Counter({"stored": len(wanted) - len(missing)})

    def count(record: Record) -> None:
        outcome[record.status] += 1
        budget.learn(record)
        what = f"{record.task} · {record.crop}² × {record.batch} · {record.method} · {record.kind}"
        progress(what, sum(outcome.values()), len(wanted))

    progress("", outcome["stored"], len(wanted))
    cuda = device.type == "cuda"
    workers = jobs or (1 if cuda else os.cpu_count() or 1)
    per_process = cells_per_process or (CELLS_PER_PROCESS if cuda and cluster is None else 1)
    for some in budget.rounds(missing):
        untimed, timed = ([job for job in some if job.kind == kind] for kind in ("quality", "cost"))
        for record in _run_quality(untimed, store, workers, per_process, cluster, origin, budget):
            count(record)
        if cluster is None or cluster.here or not timed:
            records = run_timings(timed, store, budget)
        else:
            records = run_remote_timings(timed, store, cluster, origin)
        for record in records:
            count(record)
    if math.isfinite(within) and (left := len(wanted) - sum(outcome.values())):
        outcome["left"] = left
    return outcome


def _call_here(
    function: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
) -> Result:
    return function(*args, **kwargs)


def _run_quality(
    jobs: list[Job],
    store: Store,
    workers: int,
    per_process: int,
    cluster: Cluster | None,
    origin: dict[str, object],
    budget: Budget,
) -> Iterator[Record]:
    """Yield the records of quality cells as they come; wait for cells that another run measures.

    Cells that do not fit into the budget are left out; cells that the budget ends have no record.
    """
    limits = {job.key: job.profile.timeout for job in jobs}
    for limit in sorted(set(limits.values())):
        ready, elsewhere = [job for job in jobs if limits[job.key] == limit], list[Job]()
        while ready and budget.left() > 0:
            forks, work = ready[0].device == "cpu", CellWork(store.folder.absolute(), per_process > 1)
            if cluster is None:
                pool = ProcessPool(work, min(workers, len(ready)), limit, forks, budget.end, per_process)
                # Wait here until nobody is timing, so that no cell's time limit runs meanwhile.
                no_timing = file_lock(machine_lock(), shared=True, wait=True, deadline=budget.end)
            else:
                pool, no_timing = cluster.pool(work, work.out, limit, forks), nullcontext()
            with no_timing, pool:
                for result in pool(budget.affordable(ready)):
                    if result.timed_out and budget.left() <= 0:
                        continue
                    status, reason = result.answer or ("", "")
                    if status == "unwritable":
                        raise Unwritable(0, reason)
                    if status == "elsewhere":
                        elsewhere.append(result.task)
                    else:
                        yield record_of(result, store, limit, origin)
            ready = _released(elsewhere, store)
            elsewhere = [job for job in elsewhere if job not in ready]


def _released(jobs: list[Job], store: Store) -> list[Job]:
    """Wait until another run has released the lock of a job, and return all such jobs; empty if ``jobs`` is."""
    while jobs:
        time.sleep(POLL)
        free: list[Job] = []
        for job in jobs:
            with file_lock(store.lock(job.key)) as ours:
                free += [job] * ours
        if free:
            return free
    return []
