"""A claim: an inequality over instances with known constants, and a false one that must be refuted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis.strategies import SearchStrategy

from ..instances.synthetic import Case
from .inequality import ROUNDING, Sides


def not_contractive(*example: Any) -> str | None:
    """Why an example violates ``L < 1``, the first assumption of nearly every claim; ``None`` if it does not."""
    outside = (case for case in example if isinstance(case, Case) and not case.L < 1)
    return next((f"L = {case.L:.6g} is not below 1" for case in outside), None)


@dataclass(frozen=True, slots=True)
class Claim:
    """A statement of THEORY as code.

    A check that cannot fail is worthless. Each claim therefore comes with a negative control: a stronger statement
    that is false, and that the same number of examples must refute.

    Attributes:
        id: e.g. ``C4``.
        statement: the inequality, in one line.
        source: the publication or the section of PROOFS that it comes from.
        assumptions: what must hold for it, in words.
        examples: strategy that draws the arguments of ``sides``.
        sides: computes both sides for an example.
        negative_control: computes both sides of the false statement.
        false_statement: the negative control, in one line.
        rounding: violation that counts as rounding, relative to ``Sides.scale``.
        attained: whether the largest ratio ``lhs/rhs`` must reach 0.99.
        outside: returns why an example does not meet the assumptions, or ``None``. By default: its L is not below 1.
        hard_examples: larger and worse conditioned examples, for a search; ``None`` to search among ``examples``.
    """

    id: str
    statement: str
    source: str
    assumptions: str
    examples: SearchStrategy[tuple[Any, ...]]
    sides: Callable[..., Sides]
    negative_control: Callable[..., Sides]
    false_statement: str
    rounding: float = ROUNDING
    attained: bool = False
    outside: Callable[..., str | None] = not_contractive
    hard_examples: SearchStrategy[tuple[Any, ...]] | None = None


OUTDATED_CHECK_ERRORS = (AttributeError, NameError, TypeError)
"""Errors that mean that a check, or a mutant, no longer fits the code. They are raised, not counted as a refutation."""
