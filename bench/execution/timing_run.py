"""The timings of a matrix: alone on this machine, one after another."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack

from ..records.job import Job
from ..records.record import Record
from ..records.store import Store
from ..utils.file_locks import POLL, file_lock, machine_lock
from .time_budget import Budget

TOGETHER = 100
"""Timings in one process; each holds a file open, of which a system allows some hundreds."""


def run_cost(jobs: list[Job], store: Store, budget: Budget) -> Iterator[Record]:
    """The records of timings as they come; those that another run is at are waited for.

    What the budget has no time for is left out.
    """
    for first in range(0, len(jobs), TOGETHER):
        yield from _timed(jobs[first : first + TOGETHER], store, budget)


def _timed(jobs: list[Job], store: Store, budget: Budget) -> Iterator[Record]:
    from ..timing import measure_costs

    while jobs and budget.left() > 0:
        with ExitStack() as locks:
            mine = [job for job in jobs if locks.enter_context(file_lock(store.lock(job.key)))]
            jobs = [job for job in jobs if job not in mine]
            left: list[Job] = []
            for job in mine:
                if store.finished(job.key) and (record := store.read(job.key)) is not None:
                    yield record
                else:
                    left.append(job)
            if left and not locks.enter_context(file_lock(machine_lock(), wait=True, deadline=budget.end)):
                return
            for record in measure_costs(budget.in_a_row(left), budget.end):
                store.write(record)
                yield record
        if jobs:
            time.sleep(POLL)
