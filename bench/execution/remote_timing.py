"""The timings of a matrix on a machine of a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from ..records.job import Job
from ..records.record import Record, key_of, settings
from ..records.store import Store
from ..utils.atomic_files import Unwritable
from ..utils.errors import UserError
from ..utils.file_locks import POLL
from .cell_process import Said, record_of
from .dask_cluster import Cluster
from .process_pool import TaskResult
from .time_budget import Budget
from .timing_run import run_cost


@dataclass(frozen=True, slots=True)
class Timings:
    """What one process of one worker does: all timings, one after another, each published as it ends."""

    out: Path

    def __call__(self, jobs: tuple[Job, ...]) -> Said:
        """``stored``, ``unwritable``, or ``other machine`` where the keys are those of another one."""
        try:
            if any(_key(job) != job.key for job in jobs):
                return "other machine", ""
            for _ in run_cost(list(jobs), Store(self.out), Budget()):
                pass
        except Unwritable as error:
            return "unwritable", str(error.strerror)
        return "stored", ""


def _key(job: Job) -> str:
    """The key of a timing that is made here."""
    given = settings(job.profile, job.images.digest, torch.device(job.device), job.kind)
    return key_of(job.cell, given, job.kind)


def run_cost_there(
    jobs: list[Job], store: Store, cluster: Cluster, where: dict[str, object]
) -> Iterator[Record]:
    """All timings on one worker, alone on its machine; their records as they come.

    Raises:
        UserError: the workers' machines differ, so that their seconds do not belong together.
        Unwritable: the disk is full, or may only be read.
        cluster.Lost: the scheduler is gone.
    """
    folder = store.folder.absolute()
    pool = cluster.pool(Timings(folder), folder, 0.0, forks=False)
    waiting = list(jobs)
    with pool.begun(tuple(jobs)) as wait:
        ended: TaskResult[tuple[Job, ...]] | None = None
        while ended is None:
            for job in [job for job in waiting if store.finished(job.key)]:
                waiting.remove(job)
                yield record_of(TaskResult(job, answer="stored"), store, 0.0, where)
            ended = wait(POLL)
    said, why = ended.answer or ("", "")
    if said == "unwritable":
        raise Unwritable(0, why)
    if said == "other machine":
        raise UserError(
            "the machines of the workers differ: time on workers of one kind, in an --out of its own"
        )
    for job in waiting:
        # There: what a record says of its machine is said by that machine.
        yield cluster.ask(record_of, TaskResult(job, ended.answer, ended.reason), Store(folder), 0.0, where)
