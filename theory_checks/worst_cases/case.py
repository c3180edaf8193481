"""A bound of a claim at given parameters, and its exact worst case over a whole class of problems."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction

from PEPit import PEP

from .certificate import Unproven, invariance, prove
from .programme import read_programme
from .solve import solve

TIGHT, NOT_TIGHT, VIOLATED = "tight", "not tight", "VIOLATED"
RELATIVE = 1e-6
"""Difference between the worst case and a bound, relative to the bound, that counts as none."""


@dataclass(frozen=True, slots=True)
class Case:
    """A bound at given parameters.

    Attributes:
        claim: id of the claim.
        quantity: what is bounded by what, in one line.
        over: the class over which the worst case is taken, in words.
        parameters: names and values.
        stated: the bound of the claim, from the project's own code where it has one.
        model: makes the problem of the worst case; its metric is the square of the quantity if ``squared``.
        squared: whether to take the root, with the sign of the metric.
    """

    claim: str
    quantity: str
    over: str
    parameters: tuple[tuple[str, float], ...]
    stated: float
    model: Callable[[], PEP]
    squared: bool = True

    @property
    def label(self) -> str:
        """The parameters in one line."""
        return ", ".join(f"{name} = {value:.6g}" for name, value in self.parameters)

    def quantity_of(self, metric: float) -> float:
        """The bounded quantity for a value of the metric."""
        return math.copysign(math.sqrt(abs(metric)), metric) if self.squared else metric


@dataclass(frozen=True, slots=True)
class WorstCase:
    """The exact worst case of a bound.

    Attributes:
        case: the bound.
        exact: the largest value of the quantity, to the accuracy of the solver.
        proven: an upper bound of the quantity proved in ball arithmetic; ``nan`` if the proof failed.
        reason: why it failed; empty otherwise.
        seconds: wall-clock time.
    """

    case: Case
    exact: float
    proven: float
    reason: str
    seconds: float = field(compare=False)

    @property
    def ratio(self) -> float:
        """The exact value over the bound: at most 1 if the bound is right, 1 if it is attained."""
        return self.exact / self.case.stated

    @property
    def verdict(self) -> str:
        """``tight``, ``not tight``, or ``VIOLATED``: a problem of the class exceeds the bound."""
        difference = (self.exact - self.case.stated) / abs(self.case.stated)
        if difference > RELATIVE:
            return VIOLATED
        return TIGHT if difference >= -RELATIVE else NOT_TIGHT

    @property
    def certified(self) -> bool:
        """Whether the exact value is proved to be an upper bound, to ``RELATIVE``."""
        return self.proven - self.exact <= RELATIVE * abs(self.exact)


def worst_case(case: Case) -> WorstCase:
    """Solve a case, and prove its value.

    Raises:
        NotRational: a parameter is not a fraction with a small denominator.
        Unsolved: the worst case is infinite, or the solver failed.
    """
    begin = time.perf_counter()
    programme = read_programme(case.model())
    directions = invariance(programme)
    solution, units = solve(programme, directions.kept)
    exact, proven, reason = case.quantity_of(solution.value), math.nan, ""
    try:
        proven = case.quantity_of(rounded_up(prove(programme, directions, solution.value, units)))
        exact = min(exact, proven)
    except Unproven as error:
        reason = str(error)
    return WorstCase(case, exact, proven, reason, time.perf_counter() - begin)


def rounded_up(value: Fraction) -> float:
    """The double above a fraction: its root, rounded, is not below the root of the fraction by more than rounding."""
    return math.nextafter(float(value), math.inf)
