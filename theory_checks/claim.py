"""What a claim is: an inequality over cases that carry their constants, and a false twin that must be refuted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis.strategies import SearchStrategy


@dataclass(frozen=True, slots=True)
class Sides:
    """``lhs ≤ rhs``. ``scale`` is the size of what was compared, to which rounding is relative.

    An equality is ``lhs = ‖a − b‖``, ``rhs = 0`` and ``scale = ‖b‖``.
    """

    lhs: float
    rhs: float
    scale: float = 0.0


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
        outside: the reason why an example does not meet the assumptions, or ``None``.
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
    outside: Callable[..., str | None] = lambda *_: None
