"""A certificate: an upper bound on the error of a gradient, in parts."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Certificate:
    """``‖g − F'‖ ≤ error``, and what it is made of. ``F'`` is the exact implicit gradient.

    Attributes:
        size: ``‖g‖``, or that of the better gradient where there is one (see ``correction``); nan if it was not told.
        adjoint: what is left of the adjoint equation, ``b/(1−L) ‖ϱ‖``: the residual of its solve, or the truncation
            of a series.
        equilibrium: what the distance to the equilibrium costs.
        correction: how far g is from the better gradient to which the other two belong; 0 where it is that one itself.
        amplification: ``b/(1−L)``: what a residual of the adjoint equation is multiplied by.
        distance: of the value that was returned to the equilibrium, at most.
        L: the Lipschitz constant that was used.
        rigorous: whether everything used is a bound by proof, in exact arithmetic; otherwise it is an estimate.
        why: why there is no bound, or why it is an estimate; empty for a rigorous one.
    """

    size: float
    adjoint: float
    equilibrium: float
    correction: float = 0.0
    amplification: float = math.nan
    distance: float = math.nan
    L: float = math.nan
    rigorous: bool = False
    why: str = ""

    @property
    def error(self) -> float:
        """The bound on ``‖g − F'‖``; infinite where there is none."""
        return self.correction + self.adjoint + self.equilibrium

    @property
    def least(self) -> float:
        """``‖g − F'‖`` is at least this."""
        return max(0.0, self.correction - self.adjoint - self.equilibrium)

    @property
    def exact(self) -> float:
        """``‖F'‖`` is at least this."""
        return max(0.0, self.size - self.adjoint - self.equilibrium)

    @property
    def relative(self) -> float:
        """The bound on ``‖g − F'‖ / ‖F'‖``; infinite where F' may vanish."""
        if self.error == 0:
            return 0.0
        return self.error / self.exact if self.exact > 0 else math.inf

    @property
    def cosine(self) -> float:
        """The cosine between g and F' is at least this; −1 where nothing is known. Above 0, −g descends."""
        longest = self.exact if self.correction else self.size
        return math.sqrt(1 - (self.error / longest) ** 2) if self.error < longest else -1.0

    def times(self, factor: float) -> Certificate:
        """That of the gradient of a loss ``factor > 0`` times as large.

        Raises:
            ValueError: ``factor`` is negative or not finite.
        """
        if not 0 <= factor < math.inf:
            raise ValueError(f"the factor must be a finite number of at least 0, not {factor!r}")
        sizes = ("size", "adjoint", "equilibrium", "correction")
        scaled = {name: factor * getattr(self, name) for name in sizes if getattr(self, name) < math.inf}
        return dataclasses.replace(self, **scaled)

    def estimate(self, *why: str) -> Certificate:
        """The same as an estimate, for these reasons besides its own; as it is where all are empty."""
        told = "; ".join(filter(None, (self.why, *(reason for reason in why if reason != self.why))))
        return dataclasses.replace(self, rigorous=self.rigorous and not any(why), why=told)
