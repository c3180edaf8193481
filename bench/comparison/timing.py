"""Milliseconds of a step: the ratio of two runs, split into a factor of the machine and a factor of the code."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import median

import numpy as np

from ..analysis import metrics
from ..analysis.tidy import Place, place
from ..records.record import Record
from .change import Aspect, Difference, Outcome
from .pairing import Pair, PairedRecords
from .significance import LEVEL, Interval, VarianceEstimate, difference, mean_of, moderated, sharing, within

STEP = metrics.metric_named("step_ms").quantity
TOLERANCE = 0.02
"""Relative change of the time that does not count: two timings of the same code differ by as much."""
ROUNDS = ("seconds", "floor_seconds", "ratios", "ratios_of_floor")
WORK = ("untaped", "recorded", "adjoint", "again")


@dataclass(frozen=True, slots=True)
class GeometricMeans:
    """Geometric means over cells that were timed in both runs, each with its 95 % interval.

    Attributes:
        task: of the cells; ``None`` for all tasks.
        cells: how many.
        milliseconds: ratio of the times of a step.
        machine: its factor that is due to the machine and its libraries.
        code: its factor that is due to the code.
    """

    task: str | None
    cells: int
    milliseconds: Interval
    machine: Interval
    code: Interval


@dataclass(frozen=True, slots=True)
class _Logs:
    """Logarithms of the ratios of one cell; ``machine`` is ``None`` for two solvers of one run."""

    milliseconds: float
    machine: float | None
    code: float


def times(paired: PairedRecords, tolerance: float) -> tuple[list[Difference], list[GeometricMeans]]:
    """The time of a step in every cell that was timed in both runs, and means over all cells and over each task.

    The ratio of milliseconds is ``machine × code``. The machine's factor is the ratio of the bare loops (the *floor*,
    timed beside every round), per application or product. The code's factor is the rest: what a solver adds to its bare
    loop, and how many applications and products it makes. Intervals are Welch's, with moderated variances of the paired
    ratios of the step and of the bare loop against itself, and hold together with 95 % (Bonferroni).

    Args:
        paired: records of both runs.
        tolerance: relative change of the time that does not count, 0.02 for 2 %.
    """
    both = _timed_pairs(paired)
    level = LEVEL / (len(both) + 1)  # the cells, and the mean over all of them
    here, there = (_spreads(pair[side] for pair in both) for side in (0, 1))

    def interval_of(a: Record, b: Record, code: float) -> Interval | None:
        one, other = here.get(place(a)), there.get(place(b))
        if one is None or other is None:
            return None
        return difference(code, one, _size(a), other, _size(b), level).exp()

    logs = [_logs(a, b) for a, b in both]
    changes = _changes(both, logs, interval_of, tolerance, "too few rounds for an interval")
    changes += [_missing(record, why) for record, why in paired.lost("cost")]
    changes += [
        _missing(b, f"{a.status} here: {a.reason}" if a.reason else "no timing here")
        for a, b in paired.of("cost")
        if _timed(b) and not _timed(a)
    ]
    overall = _means(None, logs)
    interval = mean_of([ratio.code for ratio in logs], level)
    if overall is None or interval is None:
        return changes, []
    changes.insert(0, _change(interval.exp(), tolerance, machine=overall.machine.value))
    by_task: dict[str, list[_Logs]] = {}
    for (_, b), ratio in zip(both, logs, strict=True):
        by_task.setdefault(b.task, []).append(ratio)
    tasks = [_means(task, some) for task, some in by_task.items()] if len(by_task) > 1 else []
    return changes, [overall, *(means for means in tasks if means is not None)]


def against(paired: PairedRecords, tolerance: float, drift: VarianceEstimate | None) -> list[Difference]:
    """The time of a step of two solvers of one run; the noise is the drift of the machine between two timings.

    Args:
        paired: records of the two solvers.
        tolerance: as for ``times``.
        drift: of the machine during the run; ``None`` if it is not known.
    """
    both = _timed_pairs(paired)
    logs = [_Logs(ratio.milliseconds, None, ratio.milliseconds) for ratio in (_logs(a, b) for a, b in both)]

    def interval_of(a: Record, b: Record, code: float) -> Interval | None:
        return drift and difference(code, drift, 1.0, drift, 1.0, LEVEL / len(both)).exp()

    return _changes(both, logs, interval_of, tolerance, "the drift of the machine is not known")


def drift(records: Iterable[Record]) -> VarianceEstimate | None:
    """Variance of the logarithm of the machine's speed from one timing of a run to the next.

    The bare loops of one task and size differ only in how many applications and products they make. Their seconds are
    fitted by a price for each kind of work; the relative residuals are the machine's drift (and errors of the model).
    ``None`` if no task has two bare loops more than there are prices.
    """
    groups: dict[tuple[str, int, int], list[Record]] = {}
    for record in records:
        if record.kind == "cost" and _timed(record):
            groups.setdefault(place(record)[:3], []).append(record)
    squares, freedom = 0.0, 0
    for group in groups.values():
        seconds = np.array([median(record.values["floor_seconds"]) for record in group])
        work = np.array([[float(record.values.get(name) or 0) for name in WORK] + [1.0] for record in group])
        scaled = work / seconds[:, None]
        rank = int(np.linalg.matrix_rank(scaled))
        if len(group) < rank + 2:
            continue
        prices = np.linalg.lstsq(scaled, np.ones(len(group)), rcond=None)[0]
        squares += float(((scaled @ prices - 1) ** 2).sum())
        freedom += len(group) - rank
    return VarianceEstimate(squares / freedom, float(freedom)) if freedom else None


def _timed_pairs(paired: PairedRecords) -> list[Pair]:
    return [(a, b) for a, b in paired.of("cost") if _timed(a) and _timed(b)]


def _timed(record: Record) -> bool:
    numbers = (record.values.get(name) or [None] for name in ROUNDS)
    return record.status == "ok" and all(number for several in numbers for number in several)


def _spreads(records: Iterable[Record]) -> dict[Place, VarianceEstimate]:
    """Variance of the logarithm of a paired ratio of each cell, from the step and the bare loop against itself."""
    spreads = {}
    for record in records:
        spread = within([np.log(record.values[name]) for name in ("ratios", "ratios_of_floor")])
        if spread is not None:
            spreads[place(record)] = spread
    return moderated(spreads)


def _size(record: Record) -> float:
    """How many independent ratios the mean of a record's ratios is worth."""
    rounds = len(record.values["ratios"])
    return rounds / sharing(rounds)


def _logs(a: Record, b: Record) -> _Logs:
    # Means, not medians: a median of three rounds ignores most of them, and its spread is not that of the rounds.
    here, there = (float(np.log(record.values["ratios"]).mean()) for record in (a, b))
    # Another number of applications is due to the code.
    code = here - there + math.log(max(_work(a), 1.0) / max(_work(b), 1.0))
    milliseconds = math.log(median(a.values["seconds"]) / median(b.values["seconds"]))
    return _Logs(milliseconds, milliseconds - code, code)


def _work(record: Record) -> float:
    return sum(float(record.values.get(name) or 0) for name in WORK)


def _judge(interval: Interval, tolerance: float, cells: int) -> tuple[Outcome, str]:
    ratio = interval.value
    if max(ratio, 1 / ratio) <= 1 + tolerance:
        return Outcome.SAME, f"within {tolerance:.2g}"
    if not interval.excludes(1.0):
        return Outcome.NOISE, "chance does as much" + (f" in one of {cells} cells" if cells > 1 else "")
    return (Outcome.WORSE, "slower") if ratio > 1 else (Outcome.BETTER, "faster")


def _means(task: str | None, logs: Sequence[_Logs]) -> GeometricMeans | None:
    columns = (
        [ratio.milliseconds for ratio in logs],
        [ratio.machine for ratio in logs if ratio.machine is not None],
        [ratio.code for ratio in logs],
    )
    means = [mean.exp() for column in columns if (mean := mean_of(column, LEVEL)) is not None]
    return GeometricMeans(task, len(logs), *means) if len(means) == len(columns) else None


def _changes(
    both: Sequence[Pair],
    logs: Sequence[_Logs],
    interval_of: Callable[[Record, Record, float], Interval | None],
    tolerance: float,
    unknown: str,
) -> list[Difference]:
    """The change of every cell; ``unknown`` says why ``interval_of`` returns ``None``."""
    changes = []
    for (a, b), ratio in zip(both, logs, strict=True):
        machine = None if ratio.machine is None else math.exp(ratio.machine)
        change = _change(interval_of(a, b, ratio.code), tolerance, len(both), unknown, machine)
        found, expected = (1e3 * median(record.values["seconds"]) for record in (a, b))
        changes.append(
            replace(change, place=place(b), found=found, expected=expected, change=math.exp(ratio.code))
        )
    return changes


def _change(
    interval: Interval | None,
    tolerance: float,
    cells: int = 1,
    unknown: str = "",
    machine: float | None = None,
) -> Difference:
    verdict, why = _judge(interval, tolerance, cells) if interval else (Outcome.NOISE, unknown)
    return Difference(
        part=Aspect.TIME,
        quantity=STEP,
        change=interval.value if interval else None,
        low=interval.low if interval else None,
        high=interval.high if interval else None,
        machine=machine,
        ratio=True,
        verdict=verdict,
        why=why,
    )


def _missing(record: Record, why: str) -> Difference:
    return Difference(
        part=Aspect.TIME, quantity=STEP, place=place(record), ratio=True, verdict=Outcome.MISSING, why=why
    )
