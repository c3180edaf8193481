"""Metrics of memory and of quality in every cell of two runs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import mean

from ..analysis import metrics
from ..analysis.metric import Metric, Tolerance
from ..analysis.tidy import Place
from .change import Aspect, Difference, Outcome
from .pairing import Pair, PairedRecords
from .significance import LEVEL, mean_of

Pairs = list[tuple[float, float]]
"""Values in the run and in its reference."""


@dataclass(frozen=True, slots=True)
class _Images:
    """A metric of one cell by image, and how many images have a value only in the reference, or only in the run."""

    where: Place
    metric: Metric
    pairs: Pairs
    lost: int
    gained: int


def memory(paired: PairedRecords) -> list[Difference]:
    """Bytes and counts in every cell, means over the seeds of both runs. They have no noise: any change counts."""
    return [_by_seed(*cell, *_exact(cell[2])) for cell in _cells(paired, _judged(Aspect.MEMORY))]


def quality(paired: PairedRecords) -> list[Difference]:
    """Every metric of quality in every cell: by image with t intervals over seeds × images, or by seed.

    The intervals hold together with 95 % (Bonferroni over those that are not equal). Images of a seed share the learned
    operator, so that with few seeds an interval is about these seeds and further images. Numbers by seed, such as the
    error of the gradient, have no noise: they have moved if they are beyond the tolerance of the metric.
    """
    judged, cells = _judged(Aspect.QUALITY), paired.by_place("quality").items()
    samples = [_images(where, m, seeds) for where, seeds in cells for m in judged if m.images]
    # Images that are equal to the last digit are no test, and take nothing from the others.
    tested = sum(any(a != b for a, b in sample.pairs) for sample in samples)
    level = LEVEL / max(tested, 1)
    by_image = [
        _by_image(sample, level) for sample in samples if sample.pairs or sample.lost or sample.gained
    ]
    by_seed = [
        _by_seed(where, metric, pairs, *_beyond(metric, pairs))
        for where, metric, pairs in _cells(paired, (m for m in judged if not m.images))
    ]
    return by_image + by_seed


def _judged(aspect: Aspect) -> list[Metric]:
    return [metric for metric in metrics.METRICS if metric.aspect == aspect]


def _cells(paired: PairedRecords, judged: Iterable[Metric]) -> list[tuple[Place, Metric, Pairs]]:
    """Values of each cell and metric by seed; those that are finite in both runs."""
    judged, cells = list(judged), []
    for where, seeds in paired.by_place("quality").items():
        for metric in judged:
            values = ((float(metric.value(a)), float(metric.value(b))) for a, b in seeds)
            if pairs := [(a, b) for a, b in values if math.isfinite(a) and math.isfinite(b)]:
                cells.append((where, metric, pairs))
    return cells


def _exact(pairs: Pairs) -> tuple[Outcome, str]:
    found, expected = _means(pairs)
    if all(a == b for a, b in pairs):
        return Outcome.SAME, "equal"
    if found == expected:
        return Outcome.CHANGED, "other numbers of the same mean"
    return (Outcome.WORSE, "more") if found > expected else (Outcome.BETTER, "less")


def _beyond(metric: Metric, pairs: Pairs) -> tuple[Outcome, str]:
    tolerance = metric.tolerance or Tolerance()
    moved = sum(not tolerance.admits(a, b) for a, b in pairs)
    if not moved:
        return Outcome.SAME, f"within {tolerance}"
    if all(a >= b for a, b in pairs) or all(a <= b for a, b in pairs):
        return _verdict(metric, sum(a - b for a, b in pairs)), f"on {moved} of {len(pairs)} seeds"
    return Outcome.NOISE, "seeds disagree"


def _by_seed(where: Place, metric: Metric, pairs: Pairs, verdict: Outcome, why: str) -> Difference:
    found, expected = _means(pairs)
    return Difference(
        part=Aspect(metric.aspect),
        quantity=metric.quantity,
        place=where,
        found=found,
        expected=expected,
        change=found / expected if expected else math.inf if found else 1.0,
        ratio=True,
        verdict=verdict,
        why=why,
    )


def _images(where: Place, metric: Metric, seeds: Sequence[Pair]) -> _Images:
    pairs: list[tuple[float | None, float | None]] = []
    for record, reference in seeds:
        here, there = metric.image_values(record), metric.image_values(reference)
        absent = [None] * max(len(here), len(there))
        pairs += zip(here or absent, there or absent, strict=True)
    known = [(a, b) for a, b in pairs if a is not None and b is not None]
    lost = sum(a is None and b is not None for a, b in pairs)
    gained = sum(a is not None and b is None for a, b in pairs)
    return _Images(where, metric, known, lost, gained)


def _by_image(sample: _Images, level: float) -> Difference:
    metric, differences = sample.metric, [a - b for a, b in sample.pairs]
    value, interval = None, None
    if sample.lost or sample.gained:
        why = f"{sample.lost} images have none here, {sample.gained} none in the reference"
        gain = sample.gained - sample.lost
        verdict = Outcome.BETTER if gain > 0 else Outcome.WORSE if gain else Outcome.CHANGED
    else:
        value, interval = mean(differences), mean_of(differences, level)
        tolerance = metric.tolerance.absolute if metric.tolerance else 0.0
        if abs(value) <= tolerance:
            verdict, why = Outcome.SAME, f"within {tolerance:g}"
        elif interval is None:
            verdict, why = Outcome.NOISE, "one image: no interval"
        elif not interval.excludes(0.0):
            verdict, why = Outcome.NOISE, "images disagree"
        else:
            verdict, why = _verdict(metric, value), f"over {len(differences)} images"
    found, expected = _means(sample.pairs) if sample.pairs else (None, None)
    return Difference(
        part=Aspect.QUALITY,
        quantity=metric.quantity,
        place=sample.where,
        found=found,
        expected=expected,
        change=value,
        low=interval and interval.low,
        high=interval and interval.high,
        verdict=verdict,
        why=why,
    )


def _verdict(metric: Metric, change: float) -> Outcome:
    return Outcome.BETTER if (change > 0) == (metric.better == "higher") else Outcome.WORSE


def _means(pairs: Pairs) -> tuple[float, float]:
    return mean(a for a, _ in pairs), mean(b for _, b in pairs)
