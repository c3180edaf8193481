"""Cells an hour with one worker and with several: the same quality cells in turns, on one machine."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import torch

from bench.config.matrix import cells, load_profile
from bench.execution.cell_process import CellWork
from bench.execution.dask_cluster import local_cluster
from bench.execution.preparation import images_for, plan_jobs
from bench.execution.process_pool import ProcessPool
from bench.records.job import Job
from bench.records.store import Manifest, Store
from bench.utils.errors import UserError


@dataclass(frozen=True, slots=True)
class Side:
    """The cells, once, with so many workers.

    Attributes:
        workers: Dask's; 0 for one process at a time without Dask.
        start: seconds until the first cells, one a worker, have come back: they import everything, once a worker.
        rest: seconds of all others.
        inside: of those, the ones that the cells' own clocks saw, added up.
    """

    workers: int
    start: float
    rest: float
    inside: float


@dataclass(frozen=True, slots=True)
class Throughput:
    """What several workers gain.

    Attributes:
        matrix: profile and tasks.
        cells: how many.
        workers: how many.
        sides: as measured, in the order of measuring.
    """

    matrix: str
    cells: int
    workers: int
    sides: list[Side]

    def gains(self, over: int) -> list[float]:
        """Round by round: seconds with ``over`` workers (0: without Dask), over those with all of them."""
        one, more = (
            [side.rest for side in self.sides if side.workers == count] for count in (over, self.workers)
        )
        return [a / b for a, b in zip(one, more, strict=True)]

    def outside(self, workers: int) -> float:
        """Share of the time that no cell's own clock saw: processes, store, Dask."""
        return median((side.rest - side.inside) / side.rest for side in self.sides if side.workers == workers)

    def row(self) -> dict[str, object]:
        """As JSON has it."""
        shares = {"outside_dask": self.outside(1), "outside_plain": self.outside(0)}
        return {
            **asdict(self),
            "gains_over_one": self.gains(1),
            "gains_over_plain": self.gains(0),
            **shares,
        }


def seconds_of(jobs: list[Job], workers: int, ahead: int, folder: Path) -> Side:
    """The quality cells with so many workers, the first ``ahead`` of them apart.

    Raises:
        UserError: a cell failed.
    """
    with tempfile.TemporaryDirectory(dir=folder) as here, ExitStack() as stack:
        store = Store(Path(here, "out"))
        store.claim(Manifest("throughput", "", "", "cpu", [job.key for job in jobs]))
        work = CellWork(store.folder)
        begin = time.perf_counter()
        if workers:
            cluster = stack.enter_context(local_cluster(workers))
            pool = cluster.pool(work, store.folder, 0.0, True)
        else:
            pool = stack.enter_context(ProcessPool(work, 1))
        for _ in pool(jobs[:ahead]):
            pass
        middle = time.perf_counter()
        for _ in pool(jobs[ahead:]):
            pass
        end = time.perf_counter()
        found = [record for job in jobs if (record := store.read(job.key)) is not None]
        if len(found) < len(jobs) or any(record.status != "ok" for record in found):
            raise UserError("a cell failed: run the profile by itself to see why")
        inside = sum(record.provenance["seconds"] for record in found[ahead:])
    return Side(workers, middle - begin, end - middle, inside)


def throughput(
    name: str,
    tasks: list[str] | None,
    workers: int,
    rounds: int,
    folder: Path,
    say: Callable[[Side], None] = lambda side: None,
) -> Throughput:
    """Measure it.

    Args:
        name: a profile of single-threaded cells, a few seconds each.
        tasks: only these of it.
        workers: how many, held against one and against no Dask.
        rounds: how often; every other one in the opposite order.
        folder: for what the cells write.
        say: told of each side.

    Raises:
        UserError: bad input, or a cell failed.
    """
    profile = load_profile(name)
    parts = list(zip(profile.parts(), cells(profile, tasks), strict=True))
    jobs, _ = plan_jobs(parts, images_for(parts, None), torch.device("cpu"))
    order, seen = sorted({0, 1, workers}), []
    for i in range(rounds):
        for side in order if i % 2 == 0 else reversed(order):
            seen.append(seconds_of(jobs, side, workers, folder))
            say(seen[-1])
    return Throughput(" ".join([name, *(tasks or [])]), len(jobs), workers, seen)
