"""Iterate the learned operator past its training depth, and record its score and residual."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from solvers import Map

MULTIPLES = (1, 2, 5, 10, 20, 50, 100)
"""Multiples of the trained depth at which the iterate is scored."""
STALL = 0.5
"""A residual stalls if from 10 to 100 times the trained depth it shrinks by less than this factor."""
DIVERGED = 1e3
"""Largest magnitude of a state; images have a peak of 1, so a state beyond it has diverged."""


@dataclass(slots=True)
class PastDepthCurve:
    """Scores and residuals at ``MULTIPLES`` of the trained depth.

    Attributes:
        rounding: largest residual that counts as rounding.
        depths: applications of T.
        residuals: ``‖T(x) − x‖ / ‖T(x)‖`` over the whole batch; infinite after a divergence.
        scores: ``score`` of the iterate; NaN after a divergence.
        state: the last scored iterate that is finite.
        residual: residual of ``state``; infinite before the first.
    """

    rounding: float
    depths: list[int] = field(default_factory=list[int])
    residuals: list[float] = field(default_factory=list[float])
    scores: list[float] = field(default_factory=list[float])
    state: Tensor | None = None
    residual: float = math.inf

    @property
    def stalls(self) -> bool | None:
        """Whether the residual stopped shrinking; ``None`` if the curve ends before 100 times the depth."""
        if len(self.residuals) < len(MULTIPLES):
            return None
        last = self.residuals[-1]
        return not last <= max(self.rounding, STALL * min(self.residuals[MULTIPLES.index(10)], DIVERGED))


def iterate_past(
    T: Map, x0: Tensor, depth: int, score: Callable[[Tensor], float], longest: int
) -> PastDepthCurve:
    """Apply T plainly, up to 100 times ``depth``.

    Depths beyond ``longest`` applications are left out. Once an iterate moves by no more than rounding, T is not
    applied further, and its numbers fill the remaining depths.
    """
    rounding = 10 * torch.finfo(x0.dtype).eps
    curve = PastDepthCurve(rounding)
    depths = [multiple * depth for multiple in MULTIPLES if multiple * depth <= longest]
    x, applied, residual = x0, 0, math.inf
    with torch.no_grad():
        for target in depths:
            while applied < target and residual > rounding:
                before, x = x, T(x)
                applied += 1
                largest, residual = _size_and_residual(x, before)
                if not largest <= DIVERGED:  # true for NaN too
                    missing = len(depths) - len(curve.depths)
                    curve.residuals += [math.inf] * missing
                    curve.scores += [math.nan] * missing
                    curve.depths = depths
                    curve.state = before if curve.state is None else curve.state
                    return curve
            curve.depths.append(target)
            # One application more, for a residual belongs to the state that is scored.
            curve.residuals.append(_size_and_residual(T(x), x)[1])
            curve.scores.append(score(x))
            curve.state, curve.residual = x, curve.residuals[-1]
    return curve


def _size_and_residual(x: Tensor, before: Tensor) -> tuple[float, float]:
    """The largest magnitude in x, and ``‖x − before‖ / ‖x‖`` (0 if x is 0), in one copy from the device."""
    norm = torch.linalg.vector_norm
    largest, size, moved = torch.stack([x.abs().max(), norm(x), norm(x - before)]).tolist()
    return largest, moved / size if size else 0.0
