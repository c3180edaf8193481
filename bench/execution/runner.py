"""Runs a matrix: quality cells in processes side by side, then the timings alone."""

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
from .cell_process import Work, record_of
from .preparation import images_for, plan_jobs
from .process_pool import ProcessPool
from .time_budget import Budget
from .timing_run import run_cost

if TYPE_CHECKING:
    from .dask_cluster import Cluster

Progress = Callable[[str, int, int], None]
"""Told what was finished last, how many are done, and how many there are."""

CELLS_PER_PROCESS = 50
"""On a GPU, where starting a process takes longer than a small cell; elsewhere it is one."""
Given = ParamSpec("Given")
Answer = TypeVar("Answer")


def run_profile(
    profile: Profile,
    out: Path,
    *,
    images: str | None = None,
    device: torch.device,
    tasks: list[str] | None = None,
    solvers: list[str] | None = None,
    networks: DenoiserOptions = DEFAULT_DENOISERS,
    jobs: int | None = None,
    cluster: Cluster | None = None,
    within: float = math.inf,
    cells_per_process: int | None = None,
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
        cells_per_process: quality cells that a process measures, one after another, before another takes its place;
            ``None`` for one, and ``CELLS_PER_PROCESS`` on a GPU. Not with a ``cluster``, where it is one.
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
    quality, cost = there(plan_jobs, parts, found, device)
    where = there(provenance, device)
    store = Store(out)
    keys = [job.key for job in (*quality, *cost)]
    store.claim(Manifest(profile.name, profile.summary, found.source, str(device), keys))
    for key in store.damaged(keys):
        notice(f"the record {key} was damaged: it is in {store.set_aside(key)} now, and its cell runs again")
    labels = {str(cell) for part in chosen for cell in part}
    wanted = [job for job in (*quality, *cost) if str(job.cell) in labels]
    missing = list[Job]()
    for job in wanted:
        record = store.read(job.key)
        if record is not None:
            budget.tell(record)
        if record is None or record.status not in FINISHED:
            missing.append(job)
    outcome = Counter({"stored": len(wanted) - len(missing)})

    def tell(record: Record) -> None:
        outcome[record.status] += 1
        budget.tell(record)
        done = sum(outcome.values())
        what = f"{record.task} · {record.crop}² × {record.batch} · {record.solver} · {record.kind}"
        progress(what, done, len(wanted))

    progress("", outcome["stored"], len(wanted))
    cuda = device.type == "cuda"
    workers = jobs or (1 if cuda else os.cpu_count() or 1)
    in_a_row = cells_per_process or (CELLS_PER_PROCESS if cuda and cluster is None else 1)
    for some in budget.rounds(missing):
        untimed, timings = ([job for job in some if job.kind == kind] for kind in ("quality", "cost"))
        for record in _run_quality(untimed, store, workers, in_a_row, cluster, where, budget):
            tell(record)
        if cluster is None or cluster.here or not timings:
            timed = run_cost(timings, store, budget)
        else:
            from .remote_timing import run_cost_there

            timed = run_cost_there(timings, store, cluster, where)
        for record in timed:
            tell(record)
    if math.isfinite(within) and (left := len(wanted) - sum(outcome.values())):
        outcome["left"] = left
    return outcome


def _here(what: Callable[Given, Answer], *args: Given.args, **kwargs: Given.kwargs) -> Answer:
    return what(*args, **kwargs)


def _run_quality(
    jobs: list[Job],
    store: Store,
    workers: int,
    in_a_row: int,
    cluster: Cluster | None,
    where: dict[str, object],
    budget: Budget,
) -> Iterator[Record]:
    """``in_a_row`` of them in a process, but one on a cluster; those that another run is at are waited for.

    What the budget has no time for is left out, and what it ends leaves no record.
    """
    limit = {job.key: job.profile.timeout for job in jobs}
    for seconds in sorted(set(limit.values())):
        ready, waiting = [job for job in jobs if limit[job.key] == seconds], list[Job]()
        while ready and budget.left() > 0:
            forks, work = ready[0].device == "cpu", Work(store.folder.absolute(), in_a_row > 1)
            beside = ProcessPool(work, min(workers, len(ready)), seconds, forks, budget.end, in_a_row)
            pool_of = beside if cluster is None else cluster.pool(work, work.out, seconds, forks)
            # Waited for here, where no cell's time runs yet, until nobody is timing.
            quiet = (
                file_lock(machine_lock(), shared=True, wait=True, deadline=budget.end)
                if cluster is None
                else nullcontext()
            )
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
            with file_lock(store.lock(job.key)) as mine:
                free += [job] * mine
        if free:
            return free
    return []
