"""Both sides of an inequality, whether it holds up to rounding, and how tight it is."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

ROUNDING = 1e-11
"""Rounding allowed by default, relative to ``Sides.scale``."""


@dataclass(frozen=True, slots=True)
class Sides:
    """Both sides of ``lhs ≤ rhs``.

    An equality ``a = b`` is written as ``lhs = ‖a − b‖``, ``rhs = 0`` and ``scale = ‖b‖``.

    Attributes:
        lhs: left side.
        rhs: right side.
        scale: size of the quantities that were compared; rounding is relative to it.
        first: ``(lhs, rhs)`` of the first inequality, if this one is the conjunction of several.
    """

    lhs: float
    rhs: float
    scale: float = 0.0
    first: tuple[float, float] | None = None


def holds(sides: Sides, rounding: float) -> bool:
    """Whether ``lhs ≤ rhs`` up to rounding. A left side that is not finite, or a right side of nan, is a violation."""
    if not math.isfinite(sides.lhs) or math.isnan(sides.rhs):
        return False
    return sides.lhs <= sides.rhs * (1 + 1e-9) + rounding * sides.scale


def side_ratio(sides: Sides, rounding: float) -> float:
    """``lhs/rhs`` of an inequality, or ``lhs/scale`` (the relative deviation) of an equality.

    Returns 0 where the left side is negative or both sides are rounding.
    """
    if sides.lhs <= 0:
        return 0.0
    if sides.rhs == 0:
        return sides.lhs / sides.scale if sides.scale else (math.inf if sides.lhs else 0.0)
    return sides.lhs / sides.rhs if sides.rhs > 100 * rounding * sides.scale else 0.0


def effectivity(sides: Sides, rounding: float) -> float | None:
    """``rhs/lhs``: by what factor a bound exceeds the quantity that it bounds; 1 if the bound is attained.

    Of a conjunction, that of the first inequality. Returns ``None`` for an equality, an infinite bound, or a left
    side that is rounding.
    """
    lhs, rhs = sides.first or (sides.lhs, sides.rhs)
    return rhs / lhs if 0 < rhs < math.inf and lhs > 100 * rounding * sides.scale else None


def conjunction(*sides: Sides) -> Sides:
    """One inequality that is violated if any of several is: a violated one, else the tightest."""
    return replace(max(sides, key=_severity), first=(sides[0].lhs, sides[0].rhs))


def disjunction(*sides: Sides) -> Sides:
    """One inequality that is violated only if all of several are. Negative controls with several parts use it."""
    return min(sides, key=_severity)


def _severity(sides: Sides) -> tuple[bool, float]:
    return not holds(sides, ROUNDING), side_ratio(sides, ROUNDING)
