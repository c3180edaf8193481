"""A run within a time: the order of its cells, which of them to start, and when to end."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ..config.profile_schema import Profile
from ..planning.cost_model import CostModel, PastRun, Requirement, fit_cost_model, past_run
from ..records.job import Job
from ..records.record import Record
from ..utils.errors import UserError
from ..utils.quantities import quantity

ROUND = 4
"""Solvers of a round: their cells are measured, then their timings, before the next solvers."""
LEAST = 5
"""Cells of a round at least, while there are more: the process of timings takes seconds to start."""
SPARE = 1.5
"""A cell is started only if this multiple of its predicted seconds is left."""
UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def seconds_of(text: str) -> float:
    """``90s``, ``8m`` or ``1.5h`` in seconds. Raises ``UserError`` for anything else, and for zero."""
    seconds = quantity(text, UNITS)
    if not seconds > 0:
        raise UserError(f"--within {text!r} is no time: give 90s, 8m or 1.5h")
    return seconds


@dataclass(slots=True)
class Budget:
    """The time of a run, which begins when this is made.

    Seconds of a cell are predicted from the records of the run so far, those of earlier runs in its folder included. A
    cell without a prediction is started, and ended at the end of the run.

    Attributes:
        seconds: infinite for no limit.
        first: labels of the solvers to measure first.
        end: on the clock of ``time.monotonic``.
    """

    seconds: float = math.inf
    first: tuple[str, ...] = ()
    end: float = field(init=False)
    _seen: list[PastRun] = field(default_factory=list[PastRun], init=False)
    _records: list[Record] = field(default_factory=list[Record], init=False)
    _model: CostModel | None = field(default=None, init=False)  # of _seen; fitted when it is needed

    def __post_init__(self) -> None:
        self.end = time.monotonic() + self.seconds

    def left(self) -> float:
        """Seconds until the end."""
        return self.end - time.monotonic()

    def learn(self, job: Job, record: Record) -> None:
        """Use a record for predictions."""
        if record.status == "ok" and math.isfinite(self.seconds):
            self._seen.append(past_run(record, _need(job)))
            self._records.append(record)
            self._model = None

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
        """Predicted seconds of each job; NaN without a prediction."""
        if math.isinf(self.seconds) or not self._seen:
            return [math.nan for _ in jobs]
        if self._model is None:
            self._model = fit_cost_model(self._seen, self._records)
        return [self._model.guess(_need(job)).seconds for job in jobs]

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


def _need(job: Job) -> Requirement:
    return Requirement(job.kind, job.cell, job.profile)
