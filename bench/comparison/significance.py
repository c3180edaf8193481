"""How far numbers move by chance: the spread of paired ratios, and intervals that hold for many cells at once."""

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
"""The chance that any one of a family of intervals misses what it is of."""
STILL = 1e-8
"""The smallest spread, relative: below it clocks have no digits."""
ALIKE = 1e6
"""Degrees of freedom of cells that share one variance."""
LONE = 1e-2
"""Degrees of freedom of cells that have nothing in common."""


@dataclass(frozen=True, slots=True)
class VarianceEstimate:
    """A variance, and the degrees of freedom it was estimated with."""

    variance: float
    freedom: float


@dataclass(frozen=True, slots=True)
class Interval:
    """A value, and the interval that chance leaves for it."""

    value: float
    low: float
    high: float

    def excludes(self, value: float) -> bool:
        """Whether ``value`` is outside it."""
        return not self.low <= value <= self.high

    def exp(self) -> Interval:
        """Of the exponential: a ratio of a difference of logarithms."""
        return Interval(math.exp(self.value), math.exp(self.low), math.exp(self.high))


def within(samples: Sequence[Sequence[float]]) -> VarianceEstimate | None:
    """The variance within samples, each about its own mean; ``None`` where none has two numbers."""
    known = [np.asarray(sample, dtype=float) for sample in samples if len(sample) > 1]
    freedom = sum(len(sample) - 1 for sample in known)
    if not freedom:
        return None
    squares = sum(float(((sample - sample.mean()) ** 2).sum()) for sample in known)
    return VarianceEstimate(max(squares / freedom, STILL**2), float(freedom))


def moderated(found: Mapping[Key, VarianceEstimate]) -> dict[Key, VarianceEstimate]:
    """Variances of a few numbers each, drawn towards what all of them have in common.

    Three rounds say little of their own spread, and a hundred cells say much of what spreads are like. Variances are
    taken as drawn from ``s₀² d₀ / χ²(d₀)``; ``s₀²`` and ``d₀`` are those that give the logarithms their mean and
    variance, and a cell gets ``(d₀ s₀² + d s²) / (d₀ + d)`` with ``d₀ + d`` degrees of freedom.

    Source: G. K. Smyth, Linear models and empirical Bayes methods (2004), doi 10.2202/1544-6115.1027.
    """
    if len(found) < 3:
        return dict(found)
    variances = np.array([spread.variance for spread in found.values()])
    freedom = np.array([spread.freedom for spread in found.values()])
    logs = np.log(variances) - digamma(freedom / 2) + np.log(freedom / 2)
    excess = float(logs.var(ddof=1) - polygamma(1, freedom / 2).mean())
    prior = _freedom_of(excess)
    common = math.exp(float(logs.mean()) + float(digamma(prior / 2)) - math.log(prior / 2))
    return {
        key: VarianceEstimate(
            (prior * common + spread.freedom * spread.variance) / (prior + spread.freedom),
            prior + spread.freedom,
        )
        for key, spread in found.items()
    }


def _freedom_of(excess: float) -> float:
    """The ``d`` whose ``χ²(d)`` has logarithms of this variance."""

    def off(log: float) -> float:
        return float(polygamma(1, math.exp(log) / 2)) - excess

    if excess <= float(polygamma(1, ALIKE / 2)):
        return ALIKE
    low, high = math.log(LONE), math.log(ALIKE)
    return LONE if off(low) <= 0 else math.exp(root_scalar(off, bracket=(low, high)).root)


def sharing(rounds: int) -> float:
    """Variance of the mean of paired ratios over what their own spread says: neighbours share a floor.

    A ratio is ``s / mean of two floors``, and the next one has one of the two as well; with equal noise in all of them
    the factor is ``(4n − 1) / (3n − 1)`` for n rounds.
    """
    return (4 * rounds - 1) / (3 * rounds - 1)


def difference(
    value: float, one: VarianceEstimate, size: float, other: VarianceEstimate, other_size: float, level: float
) -> Interval:
    """The interval of a difference of two means (Welch).

    Args:
        value: the difference that was found.
        one, other: the spread of a single number on either side.
        size, other_size: how many such numbers a mean is worth.
        level: the chance that the interval misses.
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
