"""The learned operator iterated past the depth that was trained: why one trains at equilibrium at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from solvers import Map

MULTIPLES = (1, 2, 5, 10, 20, 50, 100)
"""Of the trained depth, at which the iterate is looked at."""
STALL = 0.5
"""A residual that shrinks by less than this from 10 to 100 times the trained depth has stalled."""
WILD = 1e3
"""A state beyond a thousand times the peak of an image has diverged."""


@dataclass(slots=True)
class PastDepthCurve:
    """What was seen at ``multiples`` of the trained depth.

    Attributes:
        rounding: a residual at or below this is one of rounding.
        depths: applications of T.
        residuals: ``‖T(x) − x‖ / ‖T(x)‖`` there, over the whole batch; infinite once the iterate has diverged.
        scores: what ``score`` said of the iterate; ``nan`` once it has diverged.
        state: the last iterate that was looked at and finite.
        residual: its residual; infinite where there was none.
    """

    rounding: float
    depths: list[int] = field(default_factory=list[int])
    residuals: list[float] = field(default_factory=list[float])
    scores: list[float] = field(default_factory=list[float])
    state: Tensor | None = None
    residual: float = float("inf")

    @property
    def stalls(self) -> bool | None:
        """Whether the residual stopped shrinking; ``None`` where there was no time to see."""
        if len(self.residuals) < len(MULTIPLES):
            return None
        last = self.residuals[-1]
        return not last <= max(self.rounding, STALL * min(self.residuals[MULTIPLES.index(10)], WILD))


def iterate_past(
    T: Map, x0: Tensor, depth: int, score: Callable[[Tensor], float], longest: int
) -> PastDepthCurve:
    """Plain iterations of T up to 100 times ``depth``.

    An iterate that no longer moves, to rounding, stays where it is: the numbers of the remaining depths are those.

    Args:
        T: the map; called without a tape.
        x0: the start.
        depth: applications that were trained.
        score: of a state, higher is better.
        longest: applications at most; depths beyond it are left out.
    """
    settled = 10 * torch.finfo(x0.dtype).eps
    seen = PastDepthCurve(settled)
    x, done, residual = x0, 0, float("inf")
    with torch.no_grad():
        for multiple in MULTIPLES:
            if multiple * depth > longest:
                break
            while done < multiple * depth and residual > settled:
                before, x = x, T(x)
                done += 1
                largest, residual = _looked(x, before)
                if not largest <= WILD:  # false for NaN too
                    _fill(seen, depth, longest, before)
                    return seen
            seen.depths.append(multiple * depth)
            # The residual of the state that is scored, so one application more; zero where T no longer moves it.
            seen.residuals.append(_looked(T(x), x)[1])
            seen.scores.append(score(x))
            seen.state, seen.residual = x, seen.residuals[-1]
    return seen


def _looked(x: Tensor, before: Tensor) -> tuple[float, float]:
    """The largest magnitude in x, and ``‖x − before‖ / ‖x‖``; 0 where x is 0. One copy from the device."""
    norm = torch.linalg.vector_norm
    largest, size, moved = torch.stack([x.abs().max(), norm(x), norm(x - before)]).tolist()
    return largest, moved / size if size else 0.0


def _fill(seen: PastDepthCurve, depth: int, longest: int, last: Tensor) -> None:
    """Mark the remaining depths as diverged."""
    for multiple in MULTIPLES[len(seen.depths) :]:
        if multiple * depth <= longest:
            seen.depths.append(multiple * depth)
            seen.residuals.append(float("inf"))
            seen.scores.append(float("nan"))
    seen.state = seen.state if seen.state is not None else last
