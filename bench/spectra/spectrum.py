"""The extreme eigenvalues of ``AᵀA``, and how they are known."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, runtime_checkable

from ..utils.errors import UserError


class Basis(Enum):
    """How the extreme eigenvalues of ``AᵀA`` are known; the value is the word in tables."""

    EXACT = "exact"
    """From all singular values."""
    PROVEN = "proven"
    """An interval that contains them, by a theorem."""
    ESTIMATE = "estimate"
    """From a few applications to a random vector; nothing is proven."""


@dataclass(frozen=True, slots=True)
class Spectrum:
    """All eigenvalues of ``AᵀA`` lie in ``[smallest, largest]``; for an estimate, perhaps.

    Attributes:
        smallest, largest: the ends of the interval; ``nan`` if nobody computed them.
        basis: how they are known.
        attained: a lower bound on the largest eigenvalue, so that ``largest/attained − 1`` is the looseness of the
            upper one; ``None`` if none was computed.
        applications: of ``AᵀA`` that were made for it.

    Raises:
        UserError: the ends are negative or not finite, or in the wrong order.
    """

    smallest: float
    largest: float
    basis: Basis
    attained: float | None = None
    applications: int = 0

    def __post_init__(self) -> None:
        if self.smallest < 0 or self.largest < self.smallest or self.largest == math.inf:
            raise UserError(
                f"the eigenvalues of AᵀA cannot lie in [{self.smallest:g}, {self.largest:g}]: give finite numbers "
                "0 ≤ smallest ≤ largest"
            )

    def __iter__(self) -> Iterator[float]:
        yield self.smallest
        yield self.largest

    @property
    def ends(self) -> tuple[float, float]:
        """Smallest and largest, as operators take them."""
        return self.smallest, self.largest

    @property
    def rigorous(self) -> bool:
        """Whether the interval is exact or proven."""
        return self.basis is not Basis.ESTIMATE

    @property
    def looseness(self) -> float:
        """``largest/attained − 1``; ``nan`` if unknown."""
        return self.largest / self.attained - 1 if self.attained else math.nan

    def describe(self) -> str:
        """The interval and its basis, e.g. ``[0, 1.003] proven``."""
        return f"[{self.smallest:.4g}, {self.largest:.6g}] {self.basis.value}"


@runtime_checkable
class HasSpectrum(Protocol):
    """A physics that states its own bounds."""

    def spectrum(self, shape: tuple[int, ...]) -> Spectrum:
        """The eigenvalues of ``AᵀA`` on images of ``shape`` ``(C, H, W)``."""
        ...
