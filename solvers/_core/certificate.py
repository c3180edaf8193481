"""A certificate: an upper bound on the error of a gradient, in parts."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Certificate:
    """The bound ``‖g − F'‖ ≤ error`` and its parts; ``F'`` is the exact implicit gradient.

    Attributes:
        size: ``‖g‖``, or the norm of the audit's own gradient if ``correction`` is positive; nan if unknown.
        adjoint: ``b/(1−L) ‖ϱ‖``, due to the residual ϱ of the adjoint equation, or to a truncated series.
        equilibrium: the part due to the distance to the equilibrium.
        correction: the distance of g to the audit's own gradient, which ``adjoint`` and ``equilibrium`` then bound;
            0 without an audit.
        amplification: ``b/(1−L)``, or a smaller gain, the factor of a residual of the adjoint equation.
        distance: a bound on the distance of the returned value to the equilibrium.
        L: the Lipschitz constant that was used.
        rigorous: whether every constant is a proven bound, in exact arithmetic; otherwise ``error`` is an estimate.
        why: the reason why there is no bound, or why it is an estimate; empty if it is rigorous.
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
        """Upper bound on ``‖g − F'‖``; infinite if there is none."""
        return self.correction + self.adjoint + self.equilibrium

    @property
    def least(self) -> float:
        """Lower bound on ``‖g − F'‖``."""
        return max(0.0, self.correction - self.adjoint - self.equilibrium)

    @property
    def exact(self) -> float:
        """Lower bound on ``‖F'‖``."""
        return max(0.0, self.size - self.adjoint - self.equilibrium)

    @property
    def relative(self) -> float:
        """Upper bound on ``‖g − F'‖ / ‖F'‖``; infinite if F' may vanish."""
        if self.error == 0:
            return 0.0
        return self.error / self.exact if self.exact > 0 else math.inf

    @property
    def cosine(self) -> float:
        """Lower bound on the cosine between g and F'; −1 if nothing is known. Above 0, −g is a descent direction."""
        longest = self.exact if self.correction else self.size
        return math.sqrt(1 - (self.error / longest) ** 2) if self.error < longest else -1.0

    def times(self, factor: float) -> Certificate:
        """Return the certificate for a loss multiplied by ``factor``.

        Raises:
            ValueError: ``factor`` is negative or not finite.
        """
        if not 0 <= factor < math.inf:
            raise ValueError(f"the factor must be a finite number of at least 0, not {factor!r}")
        sizes = ("size", "adjoint", "equilibrium", "correction")
        scaled = {name: factor * getattr(self, name) for name in sizes if getattr(self, name) < math.inf}
        return dataclasses.replace(self, **scaled)

    def estimate(self, *reasons: str) -> Certificate:
        """Return the certificate as an estimate, adding ``reasons`` to ``why``; unchanged if all are empty."""
        why = "; ".join(filter(None, (self.why, *(reason for reason in reasons if reason != self.why))))
        return dataclasses.replace(self, rigorous=self.rigorous and not any(reasons), why=why)
