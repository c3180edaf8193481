"""One number of a cell in two runs, and the verdict on it."""

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
    """Verdict on one number of one cell."""

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
"""Verdicts for which ``--fail-on`` ends with exit code 1. A missing cell counts once, among the values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One number of one cell in a run and in its reference.

    Attributes:
        part: aspect that the number belongs to.
        quantity: its name, with its unit.
        place: task, crop, batch, solver; ``None`` for a mean over all cells.
        seed: ``None`` if seeds are taken together.
        found, expected: the number in the run and in the reference.
        change: ``found / expected`` if ``ratio``, else ``found − expected``; of a time, the part of the ratio that is
            due to the code. ``None`` if there is none.
        low, high: interval of ``change`` that chance allows; ``None`` if there is none.
        machine: of a time, the part of the ratio that is due to the machine: ``found / expected`` is their product.
        ratio: ``change`` is a ratio.
        verdict: on the number.
        why: the reason, in a few words.
    """

    part: Aspect
    quantity: str
    place: Place | None = None
    seed: int | None = None
    found: float | None = None
    expected: float | None = None
    change: float | None = None
    low: float | None = None
    high: float | None = None
    machine: float | None = None
    ratio: bool = False
    verdict: Outcome
    why: str

    @property
    def quiet(self) -> bool:
        """Whether the number has not moved beyond noise."""
        return self.verdict in (Outcome.SAME, Outcome.NOISE)

    @property
    def regresses(self) -> bool:
        """Whether ``--fail-on`` its aspect ends with exit code 1."""
        return self.verdict in REGRESSES[self.part]


def regressions(changes: Iterable[Difference], parts: Iterable[Aspect]) -> list[Difference]:
    """The changes that regress in one of the aspects."""
    aspects = frozenset(parts)
    return [change for change in changes if change.part in aspects and change.regresses]
