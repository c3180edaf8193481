"""A run within a time: the order of its cells, which of them to start, and when to end."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ..config.profile_schema import Profile
from ..planning.observed_times import ObservedTimes, group_of
from ..records.job import Job
from ..records.record import Record
from ..utils.arguments import quantity
from ..utils.errors import UserError

ROUND = 4
"""Solvers of a round: their cells are measured, then their timings, before the next solvers."""
LEAST = 5
"""Cells of a round at least, while there are more: the process of timings takes seconds to start."""
SPARE = 1.5
"""A cell begins if the time left is at least so many times its estimated seconds."""
UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def parse_seconds(text: str) -> float:
    """``90s``, ``8m`` or ``1.5h`` in seconds. Raises ``UserError`` for anything else, and for zero."""
    seconds = quantity(text, UNITS)
    if not seconds > 0:
        raise UserError(f"--within {text!r} is no time: give 90s, 8m or 1.5h")
    return seconds


@dataclass(slots=True)
class Budget:
    """The time of a run, which begins when this is made.

    Seconds of a cell are estimated from finished cells of the same task and size, those of earlier runs included.
    A cell of another task or size begins in any case, and is stopped at the end.

    Attributes:
        seconds: infinite for no limit.
        first: labels of the solvers to measure first.
        end: on the clock of ``time.monotonic``.
    """

    seconds: float = math.inf
    first: tuple[str, ...] = ()
    end: float = field(init=False)
    _times: ObservedTimes = field(default_factory=ObservedTimes, init=False)

    def __post_init__(self) -> None:
        self.end = time.monotonic() + self.seconds

    def left(self) -> float:
        """Seconds until the end."""
        return self.end - time.monotonic()

    def learn(self, record: Record) -> None:
        """Use the seconds of a record in later estimates."""
        if math.isfinite(self.seconds):
            self._times.add(record)

    def rounds(self, jobs: list[Job]) -> list[list[Job]]:
        """The jobs in the order in which a table gains most; one round if there is no limit.

        Parts of the profile come in their order in the file; within each, ``ROUND`` solvers at a time, ``first`` before
        the others.
        """
        if math.isinf(self.seconds):
            return [jobs]
        parts: list[Profile] = []
        for job in jobs:
            if job.profile not in parts:
                parts.append(job.profile)
        rounds: list[list[Job]] = []
        for part in parts:
            for some in self._by_solvers([job for job in jobs if job.profile == part]):
                if rounds and sum(job.kind == "quality" for job in rounds[-1]) < LEAST:
                    rounds[-1] += some
                else:
                    rounds.append(some)
        return rounds

    def _by_solvers(self, jobs: list[Job]) -> list[list[Job]]:
        present = dict.fromkeys(job.cell.solver.label for job in jobs)
        labels = list(dict.fromkeys([*(label for label in self.first if label in present), *present]))
        groups = [labels[i : i + ROUND] for i in range(0, len(labels), ROUND)]
        return [[job for job in jobs if job.cell.solver.label in group] for group in groups]

    def predicted(self, jobs: Iterable[Job]) -> list[float]:
        """Estimated seconds of each job; NaN if no cell of its task and size has finished, or if there is no limit."""
        if math.isinf(self.seconds):
            return [math.nan for _ in jobs]
        return [
            self._times.estimate(group_of(job.kind, job.cell.task.label, job.profile), job.cell.method)
            for job in jobs
        ]

    def affordable(self, jobs: Iterable[Job]) -> Iterator[Job]:
        """The jobs that the time left is enough for, each decided when it is asked for."""
        for job in jobs:
            if self.affordable_in_a_row([job]):
                yield job

    def affordable_in_a_row(self, jobs: list[Job]) -> list[Job]:
        """The jobs that the time left is enough for, one after another."""
        chosen, total = list[Job](), 0.0
        for job, seconds in zip(jobs, self.predicted(jobs), strict=True):
            needed = total + (0.0 if math.isnan(seconds) else SPARE * seconds)
            if self.left() > needed:
                chosen.append(job)
                total = needed
        return chosen
