"""An experiment: quantities measured at fixed seeds, each with the range that a related theory predicts.

A ``Claim`` is checked on many drawn examples. An ``Experiment`` is too costly for that and is measured once, at fixed
seeds. Both end in a ``Verdict``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, ClassVar, Generic, Protocol, TypeVar


class Evidence(Enum):
    """How a statement is known."""

    READ = "read"
    """It was read in the authors' text or code."""
    DERIVED = "derived"
    """It was derived here, and proved or verified numerically."""
    GUESSED = "guessed"
    """It was reconstructed, because the text of the paper was not available."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """A measured quantity and the closed range it must lie in.

    Attributes:
        quantity: name of the quantity, with its unit if it has one.
        measured: measured value. A value that is not finite never passes.
        low, high: ends of the range; infinite if one-sided, both infinite for a value that is only reported.
        predicted: value that the theory predicts; nan if it gives only a bound.
        seed: seed of the random numbers; -1 for several seeds or none.
        unmet: why the value is known to lie outside its range at this size; empty if it should lie inside.
    """

    quantity: str
    measured: float
    low: float = -math.inf
    high: float = math.inf
    predicted: float = math.nan
    seed: int = -1
    unmet: str = ""

    @property
    def reported(self) -> bool:
        """Whether the value has no range and is only reported."""
        return math.isinf(self.low) and math.isinf(self.high)

    @property
    def inside(self) -> bool:
        """Whether the value is finite and inside the range."""
        return math.isfinite(self.measured) and self.low <= self.measured <= self.high

    @property
    def margin(self) -> float:
        """Distance to the nearer end of the range; negative outside."""
        return min(self.measured - self.low, self.high - self.measured)

    @property
    def ratio(self) -> float:
        """Share of the allowed deviation that is used: at most 1 inside the range, above 1 outside.

        For a range with two ends: distance to its middle over half its width. For one end: ``measured / high`` or
        ``low / measured`` if both are positive, otherwise 0 inside and infinity outside.
        """
        if not math.isfinite(self.measured):
            return math.inf
        if math.isfinite(self.low) and math.isfinite(self.high):
            half_width = (self.high - self.low) / 2
            deviation = abs(self.measured - (self.high + self.low) / 2)
            return deviation / half_width if half_width else (0.0 if self.inside else math.inf)
        small, large = (self.measured, self.high) if math.isfinite(self.high) else (self.low, self.measured)
        if small > 0 and large > 0:
            return small / large
        return 0.0 if self.inside else math.inf

    @property
    def status(self) -> str:
        """``pass``, ``fail``, ``not met`` (outside the range, for the reason in ``unmet``) or ``reported``."""
        if self.reported and math.isfinite(self.measured):
            return "reported"
        if self.inside:
            return "pass"
        return "not met" if self.unmet and math.isfinite(self.measured) else "fail"


def near(quantity: str, measured: float, predicted: float, tolerance: float, seed: int = -1) -> Measurement:
    """Assert ``|measured − predicted| ≤ tolerance``."""
    return Measurement(quantity, measured, predicted - tolerance, predicted + tolerance, predicted, seed)


def between(quantity: str, measured: float, low: float, high: float, seed: int = -1) -> Measurement:
    """Assert ``low ≤ measured ≤ high``."""
    return Measurement(quantity, measured, low, high, seed=seed)


def at_most(quantity: str, measured: float, high: float, seed: int = -1) -> Measurement:
    """Assert ``measured ≤ high``."""
    return Measurement(quantity, measured, high=high, seed=seed)


def at_least(quantity: str, measured: float, low: float, seed: int = -1) -> Measurement:
    """Assert ``measured ≥ low``."""
    return Measurement(quantity, measured, low=low, seed=seed)


def zero(quantity: str, measured: float, seed: int = -1) -> Measurement:
    """Assert that a count or a distance is exactly 0."""
    return Measurement(quantity, measured, 0.0, 0.0, 0.0, seed)


def reported(quantity: str, measured: float, seed: int = -1) -> Measurement:
    """Report a value without asserting anything."""
    return Measurement(quantity, measured, seed=seed)


def unmet(measurement: Measurement, why: str) -> Measurement:
    """Mark a measurement as known to lie outside its range at this size, and say why."""
    return replace(measurement, unmet=why)


class ExperimentSettings(Protocol):
    """Settings of an experiment: a frozen dataclass with sizes and seeds, and the device of its tensors."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def device(self) -> str:
        """Name of a torch device, e.g. ``cpu`` or ``cuda``."""
        ...


S = TypeVar("S", bound=ExperimentSettings)
"""Type of the settings of an experiment."""


@dataclass(frozen=True)  # slots and generics do not go together
class Experiment(Generic[S]):
    """A numbered statement of a related theory as code.

    Attributes:
        id: number of the statement, e.g. ``1.4``.
        statement: the statement, in one line.
        source: the paper, or where the statement was derived.
        assumptions: what must hold for it, in words.
        evidence: how the statement is known.
        measure: returns the measurements at given settings. Results that several experiments share are cached.
        negative_control: measurements of a stronger, false statement; one of them must lie outside its range.
        false_statement: the negative control, in one line.
        outside: why given settings cannot be run here (e.g. missing data), or ``None``.
    """

    id: str
    statement: str
    source: str
    assumptions: str
    evidence: Evidence
    measure: Callable[[S], Sequence[Measurement]]
    negative_control: Callable[[S], Sequence[Measurement]]
    false_statement: str
    outside: Callable[[S], str | None] = lambda _: None
