"""Where a map was seen to expand, or by more than it is said to: a search, of which every find is real."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from solvers import Map

from .cases import normal
from .detectors import jacobian_norm, settled

ROUNDING = 1e-9
"""What of a gain is rounding."""
REMEDY = "make it a contraction (damping alone does not), e.g. by smaller weights or a stronger convexity"


@dataclass(frozen=True, slots=True)
class Expansion:
    """The largest gain of a map that was seen.

    Attributes:
        gain: ``‖J‖`` there, a lower bound by power iteration; infinite where the iteration is not bounded.
        where: the point, in words.
        apart: whether two iterations came to rest apart, at two fixed points.
    """

    gain: float
    where: str
    apart: bool

    def at_all(self) -> str | None:
        """Why the map is no contraction, and what to do; ``None`` where that was not seen."""
        if self.gain < 1 - ROUNDING and not self.apart:
            return None
        return f"{self._seen()}: no contraction in the 2-norm; {REMEDY}"

    def above(self, L: float) -> str | None:
        """Why ``L`` is no Lipschitz constant of the map, and what to do; ``None`` where that was not seen."""
        if self.gain <= L * (1 + ROUNDING) + ROUNDING and not self.apart:
            return None
        rest = "state an L that holds everywhere" if self.gain < 1 and not self.apart else REMEDY
        return f"L = {L:.4g} is stated, but {self._seen()}; {rest}"

    def _seen(self) -> str:
        if math.isinf(self.gain):
            return "the iteration leaves every bounded set"
        told = f"‖J‖ ≥ {self.gain:.4g} {self.where}, by power iteration"
        if self.apart:
            told += ", and iterations from two starts come to rest at two fixed points"
        return told


@torch.no_grad()
def expansion(T: Map, x0: Tensor) -> Expansion:
    """The largest gain at the start, along the iteration, near it and at 0; and whether two starts end apart."""
    size = max(1.0, float(x0.abs().max()))
    noise = size * normal(41, *x0.shape).to(x0)
    ends = [settled(T, start) for start in (x0, x0 + noise, x0 - 3 * noise)]
    if not all(bool(end.isfinite().all()) for end in ends):
        return Expansion(math.inf, "", False)
    points = {
        "where the iteration ends": ends[0],
        "at x0": x0,
        "after two iterations": T(T(x0)),
        "at the state 0": torch.zeros_like(x0),
        "at a random state": noise,
        "at a small random state": 1e-3 * noise,
    }
    gains = {where: jacobian_norm(T, x, 100).value for where, x in points.items()}
    where = max(gains, key=lambda name: gains[name])
    return Expansion(gains[where], where, any(_apart(T, ends[0], other) for other in ends[1:]))


def _apart(T: Map, a: Tensor, b: Tensor) -> bool:
    """Whether two points are at rest, and not in the same place."""
    gap = float((a - b).norm())
    moved = max(float((T(x) - x).norm()) for x in (a, b))
    return gap > 1e-6 * (1 + float(a.norm())) and moved < 1e-6 * gap
