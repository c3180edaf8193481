"""Make the timings of a run, one after another, alone on this machine or on that of a worker of a cluster."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from ..records.job import Job
from ..records.record import Record, key_of, settings
from ..records.store import Store
from ..utils.atomic_files import Unwritable
from ..utils.errors import UserError
from ..utils.file_locks import POLL, file_lock, machine_lock
from .cell_process import Answer, record_of
from .process_pool import TaskResult
from .time_budget import Budget

if TYPE_CHECKING:
    from .dask_cluster import Cluster

TOGETHER = 100
"""Timings in one process. Each holds a lock file open, of which systems allow some hundreds."""


def run_timings(jobs: list[Job], store: Store, budget: Budget) -> Iterator[Record]:
    """Yield the records of timings as they come; wait for timings that another run makes.

    Timings that do not fit into the budget are left out.
    """
    for first in range(0, len(jobs), TOGETHER):
        yield from _run_together(jobs[first : first + TOGETHER], store, budget)


def _run_together(jobs: list[Job], store: Store, budget: Budget) -> Iterator[Record]:
    from ..timing import measure_costs

    while jobs and budget.left() > 0:
        with ExitStack() as locks:
            ours = [job for job in jobs if locks.enter_context(file_lock(store.lock(job.key)))]
            jobs = [job for job in jobs if job not in ours]
            missing: list[Job] = []
            for job in ours:
                if store.finished(job.key) and (record := store.read(job.key)) is not None:
                    yield record
                else:
                    missing.append(job)
            if missing and not locks.enter_context(file_lock(machine_lock(), wait=True, deadline=budget.end)):
                return
            for record in measure_costs(budget.affordable_in_a_row(missing), budget.end):
                store.write(record)
                yield record
        if jobs:
            time.sleep(POLL)


@dataclass(frozen=True, slots=True)
class TimingWork:
    """Work of one process of one worker: all timings, each published as it ends."""

    out: Path

    def __call__(self, jobs: tuple[Job, ...]) -> Answer:
        """Make the timings; the status is ``other machine`` if the keys of the jobs name a machine of another kind."""
        try:
            for job in jobs:
                values = settings(job.profile, job.images.digest, torch.device(job.device), job.kind)
                if key_of(job.cell, values, job.kind) != job.key:
                    return "other machine", ""
            for _ in run_timings(list(jobs), Store(self.out), Budget()):
                pass
        except Unwritable as error:
            return "unwritable", str(error.strerror)
        return "stored", ""


def run_remote_timings(
    jobs: list[Job], store: Store, cluster: Cluster, origin: dict[str, object]
) -> Iterator[Record]:
    """Make all timings on one worker, alone on its machine, and yield their records as they come.

    Raises:
        UserError: the machines of the workers differ, so that their seconds cannot be compared.
        Unwritable: the disk is full or read-only.
        SchedulerLost: the scheduler of the cluster is gone.
    """
    folder = store.folder.absolute()
    pool = cluster.pool(TimingWork(folder), folder, 0.0, forks=False)
    waiting = list(jobs)
    with pool.started(tuple(jobs)) as wait:
        result: TaskResult[tuple[Job, ...]] | None = None
        while result is None:
            for job in [job for job in waiting if store.finished(job.key)]:
                waiting.remove(job)
                yield record_of(TaskResult(job, answer="stored"), store, 0.0, origin)
            result = wait(POLL)
    status, reason = result.answer or ("", "")
    if status == "unwritable":
        raise Unwritable(0, reason)
    if status == "other machine":
        raise UserError(
            "the machines of the workers differ: time on workers of one kind, in an --out of its own"
        )
    for job in waiting:
        # On the worker, since a record that is missing there is written with the provenance of its machine.
        yield cluster.call(
            record_of, TaskResult(job, result.answer, result.reason), Store(folder), 0.0, origin
        )
