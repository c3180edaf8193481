"""Quality of the learned operators, paired by seed and image, and gradient errors, paired by seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean

from ..analysis import metrics
from ..analysis.metrics import Metric, Tolerance
from ..analysis.tidy import Place
from ..records.record import Record
from .change import Aspect, Difference, Outcome, quotient
from .pairing import PairedRecords, known_pairs
from .significance import LEVEL, Interval, mean_of

Seeds = Sequence[tuple[Record, Record]]


@dataclass(frozen=True, slots=True)
class _Images:
    """A metric of one cell by image: values of both runs, and how many images only the other or only this run has."""

    where: Place
    metric: Metric
    pairs: list[tuple[float, float]]
    lost: int
    gained: int


def quality(paired: PairedRecords) -> list[Difference]:
    """Every metric of quality in every cell: by image with t intervals over seeds × images, or by seed.

    The intervals hold together with 95 % (Bonferroni over those that are not equal). Images of a seed share the learned
    operator, so that with few seeds an interval is about these seeds and further images. Numbers by seed, such as the
    error of the gradient, have no noise: they have moved if they are beyond the tolerance of the metric.
    """
    cells = paired.by_place("quality")
    judged = [metric for metric in metrics.METRICS if metric.aspect == Aspect.QUALITY]
    samples = [_images(where, m, seeds) for where, seeds in cells.items() for m in judged if m.images]
    # Images that are equal to the last digit are no test, and take nothing from the others.
    tested = sum(any(a != b for a, b in sample.pairs) for sample in samples)
    level = LEVEL / max(tested, 1)
    by_image = [
        _by_image(sample, level) for sample in samples if sample.pairs or sample.lost or sample.gained
    ]
    by_seed = [
        _by_seed(where, metric, pairs)
        for where, seeds in cells.items()
        for metric in judged
        if not metric.images and (pairs := known_pairs(metric, seeds))
    ]
    return by_image + by_seed


def _images(where: Place, metric: Metric, seeds: Seeds) -> _Images:
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
    if sample.lost or sample.gained:
        why = f"{sample.lost} images have none here, {sample.gained} none in the reference"
        return _difference(sample.where, metric, sample.pairs, _verdict(sample.gained - sample.lost), why)
    value, interval = mean(differences), mean_of(differences, level)
    if metric.tolerance is not None and abs(value) <= metric.tolerance.absolute:
        verdict, why = Outcome.SAME, f"within {metric.tolerance.absolute:g}"
    elif interval is None:
        verdict, why = Outcome.NOISE, "one image: no interval"
    elif not interval.excludes(0.0):
        verdict, why = Outcome.NOISE, "images disagree"
    else:
        verdict, why = _verdict(_gain(metric, value)), f"over {len(differences)} images"
    return _difference(sample.where, metric, sample.pairs, verdict, why, change=value, interval=interval)


def _by_seed(where: Place, metric: Metric, pairs: list[tuple[float, float]]) -> Difference:
    tolerance = metric.tolerance or Tolerance()
    moved = sum(not tolerance.admits(a, b) for a, b in pairs)
    if not moved:
        verdict, why = Outcome.SAME, f"within {tolerance}"
    elif all(a >= b for a, b in pairs) or all(a <= b for a, b in pairs):
        verdict = _verdict(_gain(metric, mean(a - b for a, b in pairs)))
        why = f"on {moved} of {len(pairs)} seeds"
    else:
        verdict, why = Outcome.NOISE, "seeds disagree"
    return _difference(where, metric, pairs, verdict, why)


def _gain(metric: Metric, change: float) -> float:
    return -change if metric.better == "lower" else change


def _verdict(gain: float) -> Outcome:
    return Outcome.BETTER if gain > 0 else Outcome.WORSE if gain < 0 else Outcome.CHANGED


def _difference(
    where: Place,
    metric: Metric,
    pairs: list[tuple[float, float]],
    verdict: Outcome,
    why: str,
    change: float | None = None,
    interval: Interval | None = None,
) -> Difference:
    found, expected = (mean(pair[side] for pair in pairs) if pairs else None for side in (0, 1))
    ratio = not metric.images
    if ratio and found is not None and expected is not None:
        change = quotient(found, expected)
    return Difference(
        part=Aspect.QUALITY,
        quantity=metric.quantity,
        place=where,
        found=found,
        expected=expected,
        change=change,
        low=interval.low if interval else None,
        high=interval.high if interval else None,
        ratio=ratio,
        verdict=verdict,
        why=why,
    )
