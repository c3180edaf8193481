"""How far numbers move by chance: spreads of paired ratios, and intervals that hold for many cells at once.

``scipy.stats`` has neither moderated variances nor Welch intervals of given variances and degrees of freedom. Its
``ttest_1samp`` warns of lost precision where all numbers are equal, which is the common case of two runs of the same
code, and ``t.interval`` is NaN there; so the half-widths are computed here, from the quantiles of ``scipy.stats.t``.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from scipy.optimize import root_scalar
from scipy.special import digamma, polygamma
from scipy.stats import t as student

Key = TypeVar("Key", bound=Hashable)
LEVEL = 0.05
"""Probability that any interval of a family misses the true value."""
STILL = 1e-8
"""Smallest relative spread: clocks have no digits below it."""
POOLED = 1e6
"""Prior degrees of freedom if the variances of the cells look equal."""
UNRELATED = 1e-2
"""Prior degrees of freedom if the variances of the cells look unrelated."""


@dataclass(frozen=True, slots=True)
class VarianceEstimate:
    """A variance and the degrees of freedom of its estimate."""

    variance: float
    freedom: float


@dataclass(frozen=True, slots=True)
class Interval:
    """A value, and the interval that chance allows for it."""

    value: float
    low: float
    high: float

    def excludes(self, value: float) -> bool:
        """Whether ``value`` is outside the interval."""
        return not self.low <= value <= self.high

    def exp(self) -> Interval:
        """Of the exponential: a ratio from a difference of logarithms."""
        return Interval(math.exp(self.value), math.exp(self.low), math.exp(self.high))


def within(samples: Sequence[Sequence[float]]) -> VarianceEstimate | None:
    """Pooled variance of samples about their own means; ``None`` if none has two numbers."""
    arrays = [np.asarray(sample, dtype=float) for sample in samples if len(sample) > 1]
    freedom = sum(len(array) - 1 for array in arrays)
    if not freedom:
        return None
    squares = sum(float(((array - array.mean()) ** 2).sum()) for array in arrays)
    return VarianceEstimate(max(squares / freedom, STILL**2), float(freedom))


def moderated(estimates: Mapping[Key, VarianceEstimate]) -> dict[Key, VarianceEstimate]:
    """Variances of a few numbers each, drawn towards the variance that the cells have in common.

    Three rounds say little about their own spread, a hundred cells say much about spreads. Variances are taken as drawn
    from ``s₀² d₀ / χ²(d₀)``; ``s₀²`` and ``d₀`` match the mean and the variance of their logarithms, and a cell gets
    ``(d₀ s₀² + d s²) / (d₀ + d)`` with ``d₀ + d`` degrees of freedom.

    Source: G. K. Smyth, Linear models and empirical Bayes methods (2004), doi 10.2202/1544-6115.1027.
    """
    if len(estimates) < 3:
        return dict(estimates)
    variances = np.array([estimate.variance for estimate in estimates.values()])
    freedom = np.array([estimate.freedom for estimate in estimates.values()])
    logs = np.log(variances) - digamma(freedom / 2) + np.log(freedom / 2)
    excess = float(logs.var(ddof=1) - polygamma(1, freedom / 2).mean())
    prior = _prior_freedom(excess)
    common = math.exp(float(logs.mean()) + float(digamma(prior / 2)) - math.log(prior / 2))
    total = prior + freedom
    drawn = (prior * common + freedom * variances) / total
    return {
        key: VarianceEstimate(*map(float, one)) for key, *one in zip(estimates, drawn, total, strict=True)
    }


def _prior_freedom(excess: float) -> float:
    """The d for which the logarithm of ``χ²(d)`` has this variance."""

    def gap(log: float) -> float:
        return float(polygamma(1, math.exp(log) / 2)) - excess

    if excess <= float(polygamma(1, POOLED / 2)):
        return POOLED
    low, high = math.log(UNRELATED), math.log(POOLED)
    return UNRELATED if gap(low) <= 0 else math.exp(root_scalar(gap, bracket=(low, high)).root)


def sharing(rounds: int) -> float:
    """Variance of the mean of paired ratios, relative to that of independent ones of the same spread.

    A ratio is ``s / mean of two bare loops``, and its neighbour shares one of the two. With equal noise in all of them
    the factor is ``(4n − 1) / (3n − 1)`` for n rounds.
    """
    return (4 * rounds - 1) / (3 * rounds - 1)


def difference(
    value: float, one: VarianceEstimate, size: float, other: VarianceEstimate, other_size: float, level: float
) -> Interval:
    """Welch's interval of a difference of two means.

    Args:
        value: the difference.
        one, other: variance of a single number on either side.
        size, other_size: how many independent numbers each mean is worth.
        level: probability that the interval misses.
    """
    first, second = one.variance / size, other.variance / other_size
    freedom = (first + second) ** 2 / (first**2 / one.freedom + second**2 / other.freedom)
    half = float(student.isf(level / 2, freedom)) * math.sqrt(first + second)
    return Interval(value, value - half, value + half)


def mean_of(numbers: Sequence[float], level: float) -> Interval | None:
    """The mean of numbers with its t interval; ``None`` for fewer than two."""
    if len(numbers) < 2:
        return None
    array = np.asarray(numbers, dtype=float)
    value, error = float(array.mean()), float(array.std(ddof=1)) / math.sqrt(len(array))
    half = float(student.isf(level / 2, len(array) - 1)) * error
    return Interval(value, value - half, value + half)
