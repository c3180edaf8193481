"""What a companion theory claims: quantities measured at fixed seeds, each with the range it must lie in, and a twin.

A ``Claim`` is checked on drawn examples; an ``Experiment`` is one drawn beforehand, too costly for a hundred. Both end
in a ``Verdict``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, ClassVar, Generic, Protocol, TypeVar


class Mark(Enum):
    """How we know a statement."""

    READ = "read"
    """In the authors' text or code."""
    DERIVED = "derived"
    """Derived here, and proved or verified numerically."""
    GUESSED = "guessed"
    """What the paper states, reconstructed: its text was not at hand."""


@dataclass(frozen=True, slots=True)
class Row:
    """A measured quantity and the closed range it must lie in.

    Attributes:
        quantity: what was measured, with its unit where it has one.
        measured: the value; one that is not finite never passes.
        low, high: the range; infinite where one-sided, and both infinite for a value that is only reported.
        predicted: what the theory says it is; nan where it gives a bound alone.
        seed: of the random numbers behind it; -1 where there are several, or none.
        unmet: why the statement is known not to be met at this size; empty where it should be.
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
        """Whether nothing is asserted of it."""
        return math.isinf(self.low) and math.isinf(self.high)

    @property
    def inside(self) -> bool:
        """Whether the value is finite and in the range."""
        return math.isfinite(self.measured) and self.low <= self.measured <= self.high

    @property
    def margin(self) -> float:
        """Distance to the nearer end of the range, negative outside it."""
        return min(self.measured - self.low, self.high - self.measured)

    @property
    def ratio(self) -> float:
        """How much of the allowance is used up: at most 1 inside a range, over 1 outside.

        Of a range with two ends the distance to its middle over half its width; of one end ``high`` or ``low``,
        measured over high or low over measured where both are positive, else 0 inside and infinity outside.
        """
        if not math.isfinite(self.measured):
            return math.inf
        if math.isfinite(self.low) and math.isfinite(self.high):
            half = (self.high - self.low) / 2
            off = abs(self.measured - (self.high + self.low) / 2)
            return off / half if half else (0.0 if self.inside else math.inf)
        small, large = (self.measured, self.high) if math.isfinite(self.high) else (self.low, self.measured)
        if small > 0 and large > 0:
            return small / large
        return 0.0 if self.inside else math.inf

    @property
    def status(self) -> str:
        """``pass``, ``fail``, ``not met`` (outside, for the reason in ``unmet``) or ``reported``."""
        if self.reported and math.isfinite(self.measured):
            return "reported"
        if self.inside:
            return "pass"
        return "not met" if self.unmet and math.isfinite(self.measured) else "fail"


def near(quantity: str, measured: float, predicted: float, tolerance: float, seed: int = -1) -> Row:
    """``|measured − predicted| ≤ tolerance``."""
    return Row(quantity, measured, predicted - tolerance, predicted + tolerance, predicted, seed)


def between(quantity: str, measured: float, low: float, high: float, seed: int = -1) -> Row:
    """``low ≤ measured ≤ high``."""
    return Row(quantity, measured, low, high, seed=seed)


def at_most(quantity: str, measured: float, high: float, seed: int = -1) -> Row:
    """``measured ≤ high``."""
    return Row(quantity, measured, high=high, seed=seed)


def at_least(quantity: str, measured: float, low: float, seed: int = -1) -> Row:
    """``measured ≥ low``."""
    return Row(quantity, measured, low=low, seed=seed)


def zero(quantity: str, measured: float, seed: int = -1) -> Row:
    """A count or a distance that must be exactly 0."""
    return Row(quantity, measured, 0.0, 0.0, 0.0, seed)


def reported(quantity: str, measured: float, seed: int = -1) -> Row:
    """A value of which nothing is asserted."""
    return Row(quantity, measured, seed=seed)


def unmet(row: Row, why: str) -> Row:
    """A row whose statement is known not to be met at this size, and why."""
    return replace(row, unmet=why)


class Placed(Protocol):
    """A frozen dataclass with sizes, widths and seeds, and the device that tensors lie on."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def device(self) -> str:
        """``cpu`` or ``cuda``."""
        ...


S = TypeVar("S", bound=Placed)
"""What an experiment is told."""


@dataclass(frozen=True)  # slots and generics do not go together
class Experiment(Generic[S]):
    """A numbered statement of a companion paper as code.

    Attributes:
        id: its number in the specification, as ``1.4``.
        statement: the inequality in a line.
        source: the paper, or where it was derived.
        assumptions: what must hold for it.
        mark: how we know it.
        measure: the rows, at a setting. What several experiments need is computed once (``functools.cache``).
        too_strong: rows of a stronger statement that is false: one of them must lie outside its range.
        twin: the false statement in a line.
        outside: why a setting cannot be run here (data that are missing), or ``None``.
    """

    id: str
    statement: str
    source: str
    assumptions: str
    mark: Mark
    measure: Callable[[S], Sequence[Row]]
    too_strong: Callable[[S], Sequence[Row]]
    twin: str
    outside: Callable[[S], str | None] = lambda _: None
