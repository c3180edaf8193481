"""Bytes and counts, which have no noise: any change is a change."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import mean

from ..analysis.tidy import MIB, Place, place
from ..records.record import Record
from .change import Aspect, Difference, Outcome
from .pairing import PairedRecords


@dataclass(frozen=True, slots=True)
class Count:
    """A number of a record of quality, its name for people, and the unit that it is divided by."""

    name: str
    title: str
    unit: float = 1.0


COUNTS = (
    Count("saved_bytes", "tape, MiB", MIB),
    Count("peak_bytes", "peak, MiB", MIB),
    Count("peak_requested_bytes", "peak requested, MiB", MIB),
    Count("applications", "applications"),
    Count("vjps", "VJPs"),
)


def grouped(both: Iterable[tuple[Record, Record]]) -> dict[Place, list[tuple[Record, Record]]]:
    """Pairs by what they are of; the seeds together."""
    found: dict[Place, list[tuple[Record, Record]]] = {}
    for a, b in both:
        found.setdefault(place(b), []).append((a, b))
    return found


def counts(paired: PairedRecords) -> list[Difference]:
    """Tape, peak, applications and VJPs of every cell, means over the seeds that both have."""
    changes = []
    for where, seeds in grouped(paired.of("quality")).items():
        for count in COUNTS:
            known = [
                (float(a.values[count.name]), float(b.values[count.name]))
                for a, b in seeds
                if a.values.get(count.name) is not None and b.values.get(count.name) is not None
            ]
            if known:
                changes.append(_change(where, count, known))
    return changes


def _change(where: Place, count: Count, known: list[tuple[float, float]]) -> Difference:
    found, expected = (mean(pair[side] for pair in known) / count.unit for side in (0, 1))
    ratio = found / expected if expected else (math.inf if found else 1.0)
    if all(a == b for a, b in known):
        verdict, why = Outcome.SAME, "equal"
    elif found == expected:
        verdict, why = Outcome.CHANGED, "other numbers of the same mean"
    else:
        verdict, why = (Outcome.WORSE, "more") if found > expected else (Outcome.BETTER, "less")
    return Difference(
        Aspect.MEMORY, count.title, where, None, found, expected, ratio, None, None, None, True, verdict, why
    )
