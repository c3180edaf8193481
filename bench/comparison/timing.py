"""Milliseconds of a step, taken apart: what of their ratio is the machine's, and what is the code's."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from ..analysis.tidy import Place, place
from ..records.record import Record
from .change import Aspect, Difference, Outcome
from .pairing import PairedRecords
from .significance import LEVEL, Interval, VarianceEstimate, difference, mean_of, moderated, sharing, within

STEP = "step, ms"
TOLERANCE = 0.02
"""A change of the time below this is not counted: two timings of the same code differ by as much."""
ROUNDS = ("seconds", "floor_seconds", "ratios", "ratios_of_floor")
WORK = ("untaped", "recorded", "adjoint", "again")


@dataclass(frozen=True, slots=True)
class GeometricMeans:
    """Geometric means over cells that were timed on both sides, each with its 95 % interval.

    Attributes:
        task: whose cells; ``None`` for all.
        cells: how many.
        milliseconds: of a step, here over there.
        machine: what of it is the machine's, and its libraries'.
        code: what of it is the code's.
    """

    task: str | None
    cells: int
    milliseconds: Interval
    machine: Interval
    code: Interval


@dataclass(frozen=True, slots=True)
class _Parts:
    """Logarithms of the ratios of one cell."""

    milliseconds: float
    machine: float | None
    code: float


def times(paired: PairedRecords, tolerance: float) -> tuple[list[Difference], list[GeometricMeans]]:
    """The time of a step in every cell that was timed on both sides; over all of them, and over those of each task.

    The ratio of milliseconds is ``machine × code``. The floor, a bare loop that stands beside every round, tells the
    machine: its ratio, for an application or a product. What is left is the code's: what a solver adds to its floor,
    and how many applications and products it makes. Intervals are those of Welch with moderated variances of the
    paired ratios, of the step and of the floor against itself, and all of them hold at once with 95 % (Bonferroni).

    Args:
        paired: the records.
        tolerance: a change of the time that is not counted, 0.02 for 2 %.
    """
    both = [(a, b) for a, b in paired.of("cost") if _timed(a) and _timed(b)]
    level = LEVEL / (len(both) + 1)  # and the mean of all
    here, there = (_spreads(pair[side] for pair in both) for side in (0, 1))
    changes, parts = [], []
    for a, b in both:
        found = _parts(a, b)
        parts.append(found)
        sizes = [_size(record) for record in (a, b)]
        one, other = here.get(place(a)), there.get(place(b))
        if one is None or other is None:
            changes.append(_change(a, b, found, None, Outcome.NOISE, "too few rounds for an interval"))
            continue
        interval = difference(found.code, one, sizes[0], other, sizes[1], level).exp()
        verdict, why = _judge(interval, tolerance, len(both))
        changes.append(_change(a, b, found, interval, verdict, why))
    changes += [_missing(record, why) for record, why in paired.lost("cost")]
    gone = [(a, b) for a, b in paired.of("cost") if _timed(b) and not _timed(a)]
    changes += [
        _missing(b, f"{a.status} here: {a.reason}" if a.reason else "no timing here") for a, b in gone
    ]
    overall = _overall(None, parts)
    if overall is None:
        return changes, []
    changes.insert(0, _mean(parts, overall, level, tolerance))
    tasks = {
        b.task: [p for p, (_, other) in zip(parts, both, strict=True) if other.task == b.task]
        for _, b in both
    }
    each = [_overall(task, some) for task, some in tasks.items()] if len(tasks) > 1 else []
    return changes, [overall, *(one for one in each if one is not None)]


def against(paired: PairedRecords, tolerance: float, drift: VarianceEstimate | None) -> list[Difference]:
    """The time of a step of two solvers of one run: the machine is the same, and its drift is part of the noise.

    Args:
        paired: the records of one solver, and those of the other.
        tolerance: as for ``times``.
        drift: how far the machine moved between two timings of this run; ``None`` where that is not known.
    """
    both = [(a, b) for a, b in paired.of("cost") if _timed(a) and _timed(b)]
    changes = []
    for a, b in both:
        found = _parts(a, b)
        found = _Parts(found.milliseconds, None, found.milliseconds)
        if drift is None:
            changes.append(_change(a, b, found, None, Outcome.NOISE, "the drift of the machine is not known"))
            continue
        interval = difference(found.milliseconds, drift, 1.0, drift, 1.0, LEVEL / len(both)).exp()
        verdict, why = _judge(interval, tolerance, len(both))
        changes.append(_change(a, b, found, interval, verdict, why))
    return changes


def drift(records: Iterable[Record]) -> VarianceEstimate | None:
    """How far the machine moved from one timing of a run to the next, as a variance of logarithms.

    The floors of one task and size are a bare loop over as many applications and products as their solvers make.
    Seconds are fitted as a price of each kind of work; what is left, relative to them, is the machine (and a little
    of the model). ``None`` where no task has two floors more than there are prices.
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


def _timed(record: Record) -> bool:
    numbers = (record.values.get(name) or [None] for name in ROUNDS)
    return record.status == "ok" and all(number for several in numbers for number in several)


def _spreads(records: Iterable[Record]) -> dict[Place, VarianceEstimate]:
    """What a paired ratio of each cell moves by, from those of the step and those of the floor against itself."""
    found = {}
    for record in records:
        spread = within([np.log(record.values[name]) for name in ("ratios", "ratios_of_floor")])
        if spread is not None:
            found[place(record)] = spread
    return moderated(found)


def _size(record: Record) -> float:
    """How many independent ratios the mean of a record's is worth."""
    rounds = len(record.values["ratios"])
    return rounds / sharing(rounds)


def _parts(a: Record, b: Record) -> _Parts:
    # Means, not medians: of three rounds a median throws most away, and its own spread is not that of the rounds.
    here, there = (float(np.log(record.values["ratios"]).mean()) for record in (a, b))
    # Another number of applications is the code's doing.
    code = here - there + math.log(max(_work(a), 1.0) / max(_work(b), 1.0))
    milliseconds = math.log(median(a.values["seconds"]) / median(b.values["seconds"]))
    return _Parts(milliseconds, milliseconds - code, code)


def _work(record: Record) -> float:
    return sum(float(record.values.get(name) or 0) for name in WORK)


def _judge(interval: Interval, tolerance: float, cells: int) -> tuple[Outcome, str]:
    ratio = interval.value
    if max(ratio, 1 / ratio) <= 1 + tolerance:
        return Outcome.SAME, f"within {tolerance:.2g}"
    if not interval.excludes(1.0):
        return (
            Outcome.NOISE,
            f"chance does as much in one of {cells} cells" if cells > 1 else "chance does as much",
        )
    return (Outcome.WORSE, "slower") if ratio > 1 else (Outcome.BETTER, "faster")


def _overall(task: str | None, parts: Sequence[_Parts]) -> GeometricMeans | None:
    means = [
        mean_of(numbers, LEVEL)
        for numbers in (
            [p.milliseconds for p in parts],
            [p.machine for p in parts if p.machine is not None],
            [p.code for p in parts],
        )
    ]
    if any(mean is None for mean in means):
        return None
    milliseconds, machine, code = (mean.exp() for mean in means if mean is not None)
    return GeometricMeans(task, len(parts), milliseconds, machine, code)


def _mean(parts: Sequence[_Parts], overall: GeometricMeans, level: float, tolerance: float) -> Difference:
    interval = mean_of([p.code for p in parts], level)
    assert interval is not None, "overall has looked"
    told = interval.exp()
    verdict, why = _judge(told, tolerance, 1)
    return Difference(
        Aspect.TIME,
        STEP,
        None,
        None,
        None,
        None,
        told.value,
        told.low,
        told.high,
        overall.machine.value,
        True,
        verdict,
        why,
    )


def _change(
    a: Record, b: Record, parts: _Parts, told: Interval | None, verdict: Outcome, why: str
) -> Difference:
    return Difference(
        part=Aspect.TIME,
        quantity=STEP,
        place=place(b),
        seed=None,
        found=1e3 * median(a.values["seconds"]),
        expected=1e3 * median(b.values["seconds"]),
        change=math.exp(parts.code),
        low=told.low if told else None,
        high=told.high if told else None,
        machine=None if parts.machine is None else math.exp(parts.machine),
        ratio=True,
        verdict=verdict,
        why=why,
    )


def _missing(record: Record, why: str) -> Difference:
    return Difference(
        Aspect.TIME, STEP, place(record), None, None, None, None, None, None, None, True, Outcome.MISSING, why
    )
