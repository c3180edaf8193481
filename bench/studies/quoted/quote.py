"""A sentence of a page with slots for numbers, and a sentence that the records bear out or not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Quote:
    """A sentence with numbers from records.

    Attributes:
        page: below the root of the project.
        text: as it stands there, however lines are broken, with ``{}`` for each number.
        values: what stands in the slots.
    """

    page: str
    text: str
    values: Callable[[], Sequence[str]]


@dataclass(frozen=True, slots=True)
class CheckedSentence:
    """A sentence without numbers of its own that records must bear out.

    Attributes:
        page, text: as in ``Quote``, without slots.
        holds: whether it is so.
    """

    page: str
    text: str
    holds: Callable[[], bool]
