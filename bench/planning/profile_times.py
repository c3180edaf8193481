"""Tables of the seconds and the memory that a profile took in earlier runs, and of the time with several workers."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ..config.matrix import cells
from ..config.profile_schema import Profile
from ..records.record import Record
from ..records.store import Store
from ..utils.errors import UserError
from .observed_times import Group, ObservedTimes, group_of, group_of_record


@dataclass(frozen=True, slots=True)
class PlannedCell:
    """A cell of a profile, and what stored runs say of it.

    Attributes:
        group: kind, task, dtype, sizes and training.
        size: side of the crops in pixels, and crops in a training step.
        seconds: estimated from finished cells; NaN if none of its group has finished.
        measured: a run has a record of the cell itself.
    """

    group: Group
    size: tuple[int, int]
    seconds: float
    measured: bool

    @property
    def title(self) -> str:
        """Task and size, as in tables."""
        crop, batch = self.size
        return f"{self.group[1]} · {crop}² × {batch}"


def finished_records(folders: Sequence[Path]) -> list[Record]:
    """Read the finished cells of some runs.

    Raises:
        UserError: a folder holds no run, or records come from CPUs and from GPUs.
    """
    records: list[Record] = []
    for folder in folders:
        store = Store(folder)
        if store.manifest() is None:
            raise UserError(f"--from {folder} holds no run: give the --out of one")
        records += [r for r in store.records() if r.status == "ok" and group_of_record(r) is not None]
    if len(devices := sorted({device_of(r) for r in records})) > 1:
        raise UserError(f"the records are of {' and '.join(devices)}: give --from folders of one")
    return records


def device_of(record: Record) -> str:
    """Kind of device, ``cpu`` or ``cuda``."""
    return record.settings.get("device", "cpu")


def planned_cells(profile: Profile, records: Iterable[Record]) -> list[PlannedCell]:
    """Estimate the cells of a profile, in the order of a run: the timings, one a solver, follow all other cells."""
    times, measured = ObservedTimes(), set[tuple[Group | None, str, int]]()
    for record in records:
        times.add(record)
        measured.add((group_of_record(record), record.method, record.seed))
    planned: list[PlannedCell] = []
    for kind in ("quality", "cost"):
        for part, matrix in zip(profile.parts(), cells(profile), strict=True):
            for cell in matrix:
                group, solver = group_of(kind, cell.task.label, part), cell.method
                if kind == "quality" or cell.seed == part.seeds[0]:
                    size = part.images.crop, part.batch_size
                    known = (group, solver, cell.seed) in measured
                    planned.append(PlannedCell(group, size, times.estimate(group, solver), known))
    return planned


def task_table(planned: Sequence[PlannedCell], records: Iterable[Record]) -> pd.DataFrame:
    """A row for each task, size and kind of cell.

    Columns: ``cells``; ``measured``, the number of cells with a record; ``seconds``, of all cells, estimated where
    there is no record; ``memory``, the largest of a process, or of the GPU.
    """
    bytes_of: dict[Group | None, float] = {}
    for record in records:
        where, group = record.provenance, group_of_record(record)
        bytes_of[group] = max(bytes_of.get(group, 0), where.get("peak_gpu") or where.get("peak_rss") or 0)
    groups: dict[Group, list[PlannedCell]] = {}
    for cell in planned:
        groups.setdefault(cell.group, []).append(cell)
    rows: list[dict[str, object]] = []
    for group, several in groups.items():
        memory = bytes_of.get(group, 0)
        rows.append(
            {
                "task": several[0].title,
                "cells": f"{len(several)} {group[0]}",
                "measured": sum(cell.measured for cell in several),
                "time": time_text(sum(cell.seconds for cell in several)),
                "memory": f"{memory / 2**20:.3g} MiB" if memory else "",
            }
        )
    return pd.DataFrame(rows)


def unmeasured(planned: Iterable[PlannedCell]) -> list[str]:
    """Task and size of the groups in which no cell has finished."""
    return list(dict.fromkeys(cell.title for cell in planned if math.isnan(cell.seconds)))


def workers_table(planned: Sequence[PlannedCell], workers: Iterable[int], device: str) -> pd.DataFrame:
    """A row for each number of workers.

    Columns: ``workers``; ``wall``, time of the run; ``worker hours`` or ``GPU hours``, of all workers until its end,
    as a cluster charges them; ``busy``, the share of these in which a worker computes.
    """
    known = [cell for cell in planned if not math.isnan(cell.seconds)]
    quality = [cell.seconds for cell in known if cell.group[0] == "quality"]
    cost = [cell.seconds for cell in known if cell.group[0] == "cost"]
    rows: list[dict[str, object]] = []
    for count in workers:
        seconds = wall(quality, cost, count)
        busy = f"{(sum(quality) + sum(cost)) / (count * seconds):.0%}" if seconds else ""
        unit = "GPU hours" if device == "cuda" else "worker hours"
        hours = f"{count * seconds / 3600:.3g}"
        rows.append({"workers": count, "wall": time_text(seconds), unit: hours, "busy": busy})
    return pd.DataFrame(rows)


def wall(quality: Sequence[float], cost: Sequence[float], workers: int) -> float:
    """Seconds of a run: each free worker takes the next cell, and the timings follow one after another."""
    free = [0.0] * workers
    for seconds in quality:
        heapq.heapreplace(free, free[0] + seconds)
    return max(free) + sum(cost)


def time_text(seconds: float) -> str:
    """``3.2 ms``, ``12 s``, ``3.4 min``, ``2.1 h``; ``unknown`` for NaN."""
    if math.isnan(seconds):
        return "unknown"
    for least, unit, name in ((3600, 3600, "h"), (100, 60, "min"), (1, 1, "s")):
        if seconds >= least:
            return f"{seconds / unit:.3g} {name}"
    return f"{1e3 * seconds:.3g} ms"
