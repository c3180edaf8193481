"""What a claim is: an inequality over cases that carry their constants, and a false twin that must be refuted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis.strategies import SearchStrategy

from .cases import Case


@dataclass(frozen=True, slots=True)
class Sides:
    """``lhs ≤ rhs``. ``scale`` is the size of what was compared, to which rounding is relative.

    An equality is ``lhs = ‖a − b‖``, ``rhs = 0`` and ``scale = ‖b‖``. Where it stands for several inequalities,
    ``first`` holds both sides of the first of them, whichever was the tightest.
    """

    lhs: float
    rhs: float
    scale: float = 0.0
    first: tuple[float, float] | None = None


def not_contractive(*example: Any) -> str | None:
    """The first assumption of nearly every claim, from the exact constant of each case in the example."""
    outside = (case for case in example if isinstance(case, Case) and not case.L < 1)
    return next((f"L = {case.L:.6g} is not below 1" for case in outside), None)


@dataclass(frozen=True, slots=True)
class Claim:
    """A statement of THEORY as code.

    Attributes:
        id: ``C4``.
        statement: the inequality in a line.
        source: where it comes from.
        assumptions: what must hold for it, in words; checked by the strategy's cases or their detectors.
        examples: draws the arguments of ``sides``.
        sides: both sides on an example.
        too_strong: both sides of a stronger statement that is false; some example must violate it.
        twin: the false statement in a line.
        rounding: what of a violation is rounding, relative to ``Sides.scale``.
        attained: the largest ratio ``lhs/rhs`` reaches at least 0.99.
        outside: the reason why an example does not meet the assumptions, or ``None``; unless a claim has
            its own, that a case's exact L is not below 1.
    """

    id: str
    statement: str
    source: str
    assumptions: str
    examples: SearchStrategy[tuple[Any, ...]]
    sides: Callable[..., Sides]
    too_strong: Callable[..., Sides]
    twin: str
    rounding: float = 1e-11
    attained: bool = False
    outside: Callable[..., str | None] = not_contractive


OF_THE_CHECK = (AttributeError, NameError, TypeError)
"""What says that a check or a mutant is out of date: it proves nothing then."""
