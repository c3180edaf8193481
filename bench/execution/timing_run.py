"""Make the timings of a run: one after another, while nothing else runs on this machine."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack

from ..records.job import Job
from ..records.record import Record
from ..records.store import Store
from ..utils.file_locks import POLL, held, machine
from .time_budget import Budget

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
            ours = [job for job in jobs if locks.enter_context(held(store.lock(job.key)))]
            jobs = [job for job in jobs if job not in ours]
            missing: list[Job] = []
            for job in ours:
                if store.finished(job.key) and (record := store.read(job.key)) is not None:
                    yield record
                else:
                    missing.append(job)
            if missing and not locks.enter_context(held(machine(), wait=True, end=budget.end)):
                return
            for record in measure_costs(budget.affordable_in_a_row(missing), budget.end):
                store.write(record)
                yield record
        if jobs:
            time.sleep(POLL)
