"""Bytes and counts of a training step, which have no noise: any difference is a change."""

from __future__ import annotations

from statistics import mean

from ..analysis import metrics
from ..analysis.metrics import Metric
from ..analysis.tidy import Place
from .change import Aspect, Difference, Outcome, quotient
from .pairing import PairedRecords, known_pairs


def counts(paired: PairedRecords) -> list[Difference]:
    """Every metric of memory in every cell, means over the seeds that both runs have."""
    return [
        _difference(where, metric, pairs)
        for where, seeds in paired.by_place("quality").items()
        for metric in metrics.METRICS
        if metric.aspect == Aspect.MEMORY and (pairs := known_pairs(metric, seeds))
    ]


def _difference(where: Place, metric: Metric, pairs: list[tuple[float, float]]) -> Difference:
    found, expected = (mean(pair[side] for pair in pairs) for side in (0, 1))
    if all(a == b for a, b in pairs):
        verdict, why = Outcome.SAME, "equal"
    elif found == expected:
        verdict, why = Outcome.CHANGED, "other numbers of the same mean"
    else:
        verdict, why = (Outcome.WORSE, "more") if found > expected else (Outcome.BETTER, "less")
    return Difference(
        part=Aspect.MEMORY,
        quantity=metric.quantity,
        place=where,
        found=found,
        expected=expected,
        change=quotient(found, expected),
        ratio=True,
        verdict=verdict,
        why=why,
    )
