"""Estimate the seconds of a cell from finished cells of the same task and size."""

from __future__ import annotations

import math
from itertools import chain
from statistics import median

from pydantic import ValidationError

from ..config.profile_schema import ImagesTable, Profile, TrainingTable
from ..records.record import Kind, Record
from ..timing.protocol import step_count

Group = tuple[object, ...]
"""Kind, task, dtype, sizes and training of a cell: everything but its solver and seed."""


def group_of(kind: Kind, task: str, part: Profile) -> Group:
    """Group of a cell of a profile."""
    return kind, task, part.dtype, part.images, part.training


def group_of_record(record: Record) -> Group | None:
    """Group of a stored cell; ``None`` if its settings are incomplete."""
    try:
        images = ImagesTable.model_validate(record.settings["images"])
        training = TrainingTable.model_validate(record.settings["training"])
    except (KeyError, ValidationError):
        return None
    return record.kind, record.task, record.settings.get("dtype"), images, training


def record_seconds(record: Record) -> float | None:
    """Seconds of a finished cell; for a timing, of its steps and bare loops. ``None`` if they were not recorded."""
    if record.kind == "quality":
        return record.provenance.get("seconds")
    steps = record.values.get("seconds")
    return step_count(len(steps)) * median(steps) if steps else None


class ObservedTimes:
    """Seconds of finished cells."""

    def __init__(self) -> None:
        self._seconds: dict[Group, dict[str, list[float]]] = {}

    def add(self, record: Record) -> None:
        """Take the seconds of a cell into account, if it finished."""
        group, seconds = group_of_record(record), record_seconds(record)
        if group is not None and seconds and record.status == "ok":
            self._seconds.setdefault(group, {}).setdefault(record.method, []).append(seconds)

    def estimate(self, group: Group, solver: str) -> float:
        """Seconds of a cell; NaN if no cell of its group has finished.

        The estimate is the median over the seeds of the cell. If none has finished, it is the median of the group,
        times the ratio between the solver's seconds and the median in other groups, where the solver has finished.
        """
        finished = self._seconds.get(group)
        if finished is None:
            return math.nan
        if solver in finished:
            return median(finished[solver])
        ratios = [median(g[solver]) / _median(g) for g in self._seconds.values() if solver in g]
        return _median(finished) * (median(ratios) if ratios else 1.0)


def _median(seconds: dict[str, list[float]]) -> float:
    return median(chain.from_iterable(seconds.values()))
