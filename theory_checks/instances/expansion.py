"""Search for points at which a map expands, or expands by more than its stated L. There are no false alarms."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from solvers import Map

from .diagnostics import jacobian_norm, settled_point
from .synthetic import standard_normal

ROUNDING = 1e-9
"""Excess of a gain that counts as rounding."""
REMEDY = "make it a contraction (damping alone does not), e.g. by smaller weights or a stronger convexity"


@dataclass(frozen=True, slots=True)
class Expansion:
    """The largest gain of a map that the search found.

    Attributes:
        gain: lower bound of ``‖J‖`` by power iteration; infinite if the iteration is unbounded.
        where: the point, in words.
        two_fixed_points: whether iterations from two starts ended at two fixed points.
    """

    gain: float
    where: str
    two_fixed_points: bool

    def why_not_contractive(self) -> str | None:
        """Why the map is no contraction, and what to do; ``None`` if no reason was found."""
        if self.gain < 1 - ROUNDING and not self.two_fixed_points:
            return None
        return f"{self._evidence()}: no contraction in the 2-norm; {REMEDY}"

    def why_above(self, L: float) -> str | None:
        """Why ``L`` is no Lipschitz constant of the map, and what to do; ``None`` if no reason was found."""
        if self.gain <= L * (1 + ROUNDING) + ROUNDING and not self.two_fixed_points:
            return None
        remedy = "state an L that holds everywhere" if self.gain < 1 and not self.two_fixed_points else REMEDY
        return f"L = {L:.4g} is stated, but {self._evidence()}; {remedy}"

    def _evidence(self) -> str:
        if math.isinf(self.gain):
            return "the iteration leaves every bounded set"
        text = f"‖J‖ ≥ {self.gain:.4g} {self.where}, by power iteration"
        if self.two_fixed_points:
            text += ", and iterations from two starts come to rest at two fixed points"
        return text


@torch.no_grad()
def find_expansion(T: Map, x0: Tensor) -> Expansion:
    """Measure the gain at the start, along the iteration, at 0 and at random states, and iterate from three starts."""
    size = max(1.0, float(x0.abs().max()))
    noise = size * standard_normal(41, *x0.shape).to(x0)
    ends = [settled_point(T, start) for start in (x0, x0 + noise, x0 - 3 * noise)]
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
    return Expansion(gains[where], where, any(_are_distinct(T, ends[0], other) for other in ends[1:]))


def _are_distinct(T: Map, a: Tensor, b: Tensor) -> bool:
    """Whether two points are fixed points, and not the same one."""
    gap = float((a - b).norm())
    movement = max(float((T(x) - x).norm()) for x in (a, b))
    return gap > 1e-6 * (1 + float(a.norm())) and movement < 1e-6 * gap
