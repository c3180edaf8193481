"""What a matrix will take before it is run: seconds and memory, from the records of others."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median

import torch

from ..config.matrix import Cell
from ..config.profile_schema import Profile
from ..operators import PlugAndPlayPrior
from ..records.record import Kind, Record
from ..timing.protocol import round_count, step_count
from .workload import CellWorkload, PastWork, past_work, work_of

STEP = 2.0
"""Seconds that a process of a cell takes beside its work, where no record says."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """A cell that is to be run.

    Attributes:
        kind: ``quality`` or ``cost``.
        cell, profile: what, and the part of the profile that says how.
    """

    kind: Kind
    cell: Cell
    profile: Profile

    def levels(self) -> tuple[tuple[str, ...], ...]:
        """Kinds of operator that it belongs to, the narrowest first; numbers differ by less in a narrow one."""
        task, dtype = self.cell.task, self.profile.dtype
        prior = task.prior
        sort = f"{prior.network.name} network" if isinstance(prior, PlugAndPlayPrior) else "penalty"
        any_sort = "network" if isinstance(prior, PlugAndPlayPrior) else "penalty"
        return (
            (task.label, dtype),
            (prior.label, dtype),
            (sort, dtype),
            (sort,),
            (any_sort, ""),
            ("anything", "", ""),
        )


@dataclass(frozen=True, slots=True)
class PastRun:
    """A need that was run.

    Attributes:
        need: which.
        seconds: of the cell, or the median of its training steps where it is a timing.
        peak: bytes alive at once in a training step; ``None`` for a timing.
        resident: bytes that its process held at most, and on a GPU the GPU's; ``None`` where nobody looked.
    """

    need: Requirement
    seconds: float | None
    peak: float | None
    resident: float | None


def past_run(record: Record, need: Requirement) -> PastRun:
    """What a record says of its need."""
    if record.kind == "cost":
        steps = record.values.get("seconds")
        return PastRun(need, median(steps) if steps else None, None, None)
    where = record.provenance
    return PastRun(
        need,
        where.get("seconds"),
        record.values.get("peak_bytes"),
        where.get("peak_gpu") or where.get("peak_rss"),
    )


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a need will take.

    Attributes:
        need: which.
        seconds: of the cell, all in all; NaN without any precedent.
        step: of one training step, for a timing; else NaN.
        peak: bytes of its process, or of the GPU; NaN without any precedent.
        level: of the precedent; 0 and 1 are the same task and the same prior. -1 for none.
        precedent: the kind of operator that it is predicted from.
    """

    need: Requirement
    seconds: float
    step: float
    peak: float
    level: int
    precedent: str


Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class CostModel:
    """Seconds are ``start + price · work``, bytes ``base + price · (taped + offset)``; prices are medians of a kind.

    Attributes:
        known: counts, of solvers and tasks.
        start: seconds of a process beside its work.
        quality, cost, memory: price and how many records it is from, by kind of operator.
        offset: images in memory beside the tape.
        base: bytes of a process beside its training step.
    """

    known: PastWork
    start: float
    quality: dict[tuple[str, ...], tuple[float, int]]
    cost: dict[tuple[str, ...], tuple[float, int]]
    memory: dict[tuple[str, ...], tuple[float, int]]
    offset: float
    base: float

    def guess(self, need: Requirement) -> Prediction:
        """What a need will take."""
        work = work_of(need.cell, need.profile, need.kind, self.known)
        # A timing's price is that of steps, mostly taped; it serves where no whole cell was ever seen.
        first, second = (self.quality, self.cost) if need.kind == "quality" else (self.cost, self.quality)
        level, kind, price = _nearest(need, first)
        borrowed = level < 0
        if borrowed:
            level, kind, price = _nearest(need, second)
        seconds = self.start + price * work.size
        step = math.nan
        if need.kind == "cost":
            step = price * work.size
            seconds = self.start + _timing(step, need.profile)
        _, _, bytes_each = _nearest(need, self.memory)
        peak = self.base + bytes_each * _tape(need, work, self.offset)
        words = "" if borrowed is False else ("timings of " if need.kind == "quality" else "cells of ")
        return Prediction(need, seconds, step, peak, level, words + " ".join(kind).strip())


def _timing(step: float, profile: Profile) -> float:
    """Seconds of a timing; its bare loop takes about as long as the step."""
    return step_count(round_count(profile.timing.rounds, profile.timing.seconds, 2 * step)) * step


def _tape(need: Requirement, work: CellWorkload, offset: float) -> float:
    size = torch.finfo(getattr(torch, need.profile.dtype)).bits // 8
    return size * work.numbers * (work.taped + offset * work.batch)


def _nearest(
    need: Requirement, prices: dict[tuple[str, ...], tuple[float, int]]
) -> tuple[int, tuple[str, ...], float]:
    for level, kind in enumerate(need.levels()):
        if kind in prices:
            return level, kind, prices[kind][0]
    return -1, ("nothing",), math.nan


def fit_cost_model(records: Sequence[PastRun], counted: Iterable[Record]) -> CostModel:
    """The model of these records.

    Args:
        records: with the needs that they were for.
        counted: the same, for the counts of solvers.
    """
    found = past_work(counted)
    whole = [
        (s.need, work_of(s.need.cell, s.need.profile, "quality", found).size, s.seconds)
        for s in records
        if s.need.kind == "quality" and s.seconds
    ]
    steps = [
        (s.need, work_of(s.need.cell, s.need.profile, "cost", found).size, s.seconds)
        for s in records
        if s.need.kind == "cost" and s.seconds
    ]
    peaks = [
        (s.need, work_of(s.need.cell, s.need.profile, "quality", found), s.peak)
        for s in records
        if s.need.kind == "quality" and s.peak
    ]

    def quality(start: float) -> list[tuple[Requirement, float]]:
        return [(need, max(y - start, y / 10) / x) for need, x, y in whole]

    def memory(offset: float) -> list[tuple[Requirement, float]]:
        return [(need, y / _tape(need, x, offset)) for need, x, y in peaks]

    least = min((y for _, _, y in whole), default=0.0)
    start = _best([least * share for share in (0.0, 0.25, 0.5, 0.7, 0.8, 0.9)], quality) if whole else STEP
    offset = _best([0.5, 1.0, 2.0, 4.0, 8.0, 16.0], memory)
    beside = [s.resident - s.peak for s in records if s.resident and s.peak]
    return CostModel(
        found,
        start,
        _prices(quality(start)),
        _prices([(need, y / x) for need, x, y in steps]),
        _prices(memory(offset)),
        offset,
        max(0.0, median(beside)) if beside else 0.0,
    )


def _prices(points: list[tuple[Requirement, float]]) -> dict[tuple[str, ...], tuple[float, int]]:
    several: dict[tuple[str, ...], list[float]] = {}
    for need, price in points:
        for kind in need.levels():
            several.setdefault(kind, []).append(price)
    return {kind: (math.exp(median(map(math.log, all_))), len(all_)) for kind, all_ in several.items()}


def _best(offsets: list[float], points: Callable[[float], list[tuple[Requirement, float]]]) -> float:
    """The offset with which the prices of each narrowest kind lie closest together, in logs."""

    def spread(offset: float) -> float:
        found = points(offset)
        prices = _prices(found)
        return sum(abs(math.log(price / prices[need.levels()[0]][0])) for need, price in found)

    return min(offsets, key=spread)


def wall(quality: Sequence[float], cost: Sequence[float], workers: int) -> float:
    """Seconds of a run: each free worker takes the next cell, and the timings follow one after another."""
    free = [0.0] * workers
    for seconds in quality:
        heapq.heapreplace(free, free[0] + seconds)
    return max(free) + sum(cost)


@dataclass(frozen=True, slots=True)
class Validation:
    """Predictions of what was measured, by records that knew nothing of it.

    Attributes:
        cells: how many.
        predicted, measured: seconds in total.
        factor, worst: half, and nine in ten, of the cells lie within it.
    """

    cells: int
    predicted: float
    measured: float
    factor: float
    worst: float


def validate(pairs: Sequence[tuple[float, float]]) -> Validation | None:
    """Hold predictions against measurements, ``(predicted, measured)``; ``None`` where there is nothing to hold."""
    off = sorted(abs(math.log(p / m)) for p, m in pairs if p > 0 and m > 0)
    if not off:
        return None
    return Validation(
        len(off),
        sum(p for p, _ in pairs),
        sum(m for _, m in pairs),
        math.exp(median(off)),
        math.exp(off[math.ceil(0.9 * len(off)) - 1]),
    )
