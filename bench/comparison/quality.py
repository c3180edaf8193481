"""What an operator learned and how wrong its gradient was, paired by seed and image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean

from ..analysis.tidy import LOST, MEANS, Place
from ..records.record import Record
from .change import Aspect, Difference, Outcome
from .counts import grouped
from .pairing import PairedRecords
from .significance import LEVEL, Interval, mean_of
from .values import TOLERANCES

ERROR = "hypergradient_error"
TITLES = {
    "psnr": "PSNR, dB",
    "psnr_equilibrium": "PSNR at eq., dB",
    "ssim": "SSIM",
    "ssim_equilibrium": "SSIM at eq.",
}


@dataclass(frozen=True, slots=True)
class _Sample:
    """Values of one quantity of one cell: those known on both sides, and how many only one side has."""

    where: Place
    column: str
    pairs: list[tuple[float, float]]
    lost: int
    gained: int


def quality(paired: PairedRecords) -> list[Difference]:
    """PSNR and SSIM with t intervals over seeds × images, and the error of the gradient, of every cell.

    The intervals of what is not equal hold all at once with 95 % (Bonferroni). Images of one seed share what was
    learned, so with few seeds an interval speaks of these seeds, and of other images. An error of a gradient has no
    noise; it counts as moved beyond the tolerance of the values.
    """
    cells = grouped(paired.of("quality"))
    samples = [
        sample
        for where, seeds in cells.items()
        for column in TITLES
        if (sample := _sample(where, column, seeds)) is not None
    ]
    # Images that are equal to the last digit are no test, and take nothing from the others.
    tested = sum(any(a != b for a, b in sample.pairs) for sample in samples)
    changes = [_image_change(sample, LEVEL / max(tested, 1)) for sample in samples]
    errors = [_error(where, seeds) for where, seeds in cells.items()]
    return changes + [change for change in errors if change is not None]


def _sample(where: Place, column: str, seeds: Sequence[tuple[Record, Record]]) -> _Sample | None:
    known, lost, gained = [], 0, 0
    for a, b in seeds:
        here, there = _images(a, column), _images(b, column)
        if not here and not there:
            continue
        here, there = (images or [None] * max(len(here), len(there)) for images in (here, there))
        for x, y in zip(here, there, strict=True):
            if x is not None and y is not None:
                known.append((x, y))
            lost += x is None and y is not None
            gained += x is not None and y is None
    return _Sample(where, column, known, lost, gained) if known or lost or gained else None


def _images(record: Record, column: str) -> list[float | None]:
    """A value an image; none where it belongs to an equilibrium that was not found, as in the tables."""
    found = record.values.get(MEANS[column]) or []
    residual = record.values.get("equilibrium_residual")
    tolerance = record.settings.get("equilibrium", {}).get("tol", math.nan)
    if column.endswith("equilibrium") and residual is not None and residual > LOST * tolerance:
        return [None] * len(found)
    return list(found)


def _image_change(sample: _Sample, level: float) -> Difference:
    title, tolerance = TITLES[sample.column], TOLERANCES[sample.column].absolute
    if sample.lost or sample.gained:
        worse = sample.lost > sample.gained
        words = f"{sample.lost} images have none here, {sample.gained} none in the reference"
        verdict = Outcome.WORSE if worse else Outcome.BETTER
        if sample.lost == sample.gained:
            verdict = Outcome.CHANGED
        return _change(title, sample, None, None, verdict, words)
    differences = [a - b for a, b in sample.pairs]
    interval, value = mean_of(differences, level), mean(differences)
    if abs(value) <= tolerance:
        return _change(title, sample, value, interval, Outcome.SAME, f"within {tolerance:g}")
    if interval is None:
        return _change(title, sample, value, None, Outcome.NOISE, "one image: no interval")
    if not interval.excludes(0.0):
        return _change(title, sample, value, interval, Outcome.NOISE, "images disagree")
    verdict = Outcome.BETTER if value > 0 else Outcome.WORSE
    return _change(title, sample, value, interval, verdict, f"over {len(differences)} images")


def _change(
    title: str, sample: _Sample, value: float | None, interval: Interval | None, verdict: Outcome, why: str
) -> Difference:
    found, expected = (mean(pair[side] for pair in sample.pairs) if sample.pairs else None for side in (0, 1))
    low, high = (interval.low, interval.high) if interval else (None, None)
    return Difference(
        Aspect.QUALITY,
        title,
        sample.where,
        None,
        found,
        expected,
        value,
        low,
        high,
        None,
        False,
        verdict,
        why,
    )


def _error(where: Place, seeds: Sequence[tuple[Record, Record]]) -> Difference | None:
    known = [
        (float(a.values[ERROR]), float(b.values[ERROR]))
        for a, b in seeds
        if a.values.get(ERROR) is not None and b.values.get(ERROR) is not None
    ]
    if not known:
        return None
    found, expected = (mean(pair[side] for pair in known) for side in (0, 1))
    ratio = found / expected if expected else (math.inf if found else 1.0)
    tolerance = TOLERANCES[ERROR]
    if all(tolerance.admits(a, b) for a, b in known):
        verdict, why = Outcome.SAME, f"within {tolerance}"
    elif all(a >= b for a, b in known) or all(a <= b for a, b in known):
        verdict = Outcome.WORSE if found > expected else Outcome.BETTER
        why = f"on {sum(not tolerance.admits(a, b) for a, b in known)} of {len(known)} seeds"
    else:
        verdict, why = Outcome.NOISE, "seeds disagree"
    return Difference(
        Aspect.QUALITY,
        "gradient error",
        where,
        None,
        found,
        expected,
        ratio,
        None,
        None,
        None,
        True,
        verdict,
        why,
    )
