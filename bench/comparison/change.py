"""What is said of a cell: the same, noise, better, worse, changed or missing; and why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from ..analysis.tidy import Place


class Aspect(StrEnum):
    """What is compared; ``--fail-on`` takes these words."""

    VALUES = "values"
    TIME = "time"
    MEMORY = "memory"
    QUALITY = "quality"


class Outcome(StrEnum):
    """What is said of one number of one cell."""

    SAME = "same"
    NOISE = "noise"
    BETTER = "better"
    WORSE = "worse"
    CHANGED = "changed"
    MISSING = "missing"


REGRESSES = {
    Aspect.VALUES: frozenset({Outcome.CHANGED, Outcome.MISSING}),
    Aspect.TIME: frozenset({Outcome.WORSE, Outcome.MISSING}),
    Aspect.MEMORY: frozenset({Outcome.WORSE}),
    Aspect.QUALITY: frozenset({Outcome.WORSE}),
}
"""What ends ``--fail-on`` with exit code 1. A cell that is missing is so among the values."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One number of one cell, here and in the reference.

    Attributes:
        part: what kind of number it is.
        quantity: its name, with its unit.
        place: task, crop, batch, solver; ``None`` for a mean over all cells.
        seed: where it is of one; ``None`` where seeds are taken together.
        found, expected: here and in the reference.
        change: ``found / expected``, or ``found − expected`` where ``ratio`` is false; of a time, what of the ratio is
            the code's and not the machine's. ``None`` where there is none.
        low, high: the interval that chance leaves for ``change``; ``None`` where it has none.
        machine: of a time, what of the ratio is the machine's: ``found / expected`` is ``machine · change``.
        ratio: whether ``change`` is a ratio.
        verdict: what is to be thought of it.
        why: the reason, in a few words.
    """

    part: Aspect
    quantity: str
    place: Place | None
    seed: int | None
    found: float | None
    expected: float | None
    change: float | None
    low: float | None
    high: float | None
    machine: float | None
    ratio: bool
    verdict: Outcome
    why: str

    @property
    def regresses(self) -> bool:
        """Whether ``--fail-on`` its part ends with exit code 1."""
        return self.verdict in REGRESSES[self.part]


def regressions(changes: Iterable[Difference], parts: Iterable[Aspect]) -> list[Difference]:
    """Those of the changes that regress in one of the parts."""
    wanted = frozenset(parts)
    return [change for change in changes if change.part in wanted and change.regresses]
