"""The mean of a few values, and its interval."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from scipy.stats import t as student


def mean_interval(values: Sequence[float]) -> tuple[float, float]:
    """The mean of two values or more, and half of its 95 % interval (Student's t)."""
    half = float(student.ppf(0.975, len(values) - 1)) * statistics.stdev(values) / math.sqrt(len(values))
    return statistics.mean(values), half
