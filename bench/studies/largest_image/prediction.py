"""The memory of a step as a line in the number of pixels, and what it predicts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .step import MULTIPLE, Step


@dataclass(frozen=True, slots=True)
class Line:
    """``base + each · pixels`` bytes: those of the process before it has an image, and those of a pixel or voxel."""

    base: float
    each: float

    def at(self, pixels: int) -> float:
        """Bytes at so many pixels or voxels."""
        return self.base + self.each * pixels

    def largest_side(self, limit: float, axes: int) -> int:
        """The largest side, a multiple of 8, of a square or a cube that takes at most ``limit`` bytes; 0 if none."""
        pixels = max(0.0, limit - self.base) / self.each
        side = int(pixels ** (1 / axes)) // MULTIPLE * MULTIPLE
        # The root rounds: a side may be one multiple too small or too large.
        return max(s for s in (0, side - MULTIPLE, side, side + MULTIPLE) if s <= 0 or s**axes <= pixels)


def fitted(steps: Sequence[Step]) -> Line:
    """The line with the least squares of relative residuals through the peaks of steps of different sizes."""
    pixels, peaks = (np.array(values, dtype=float) for values in zip(*map(_point, steps), strict=True))
    each, base = np.polyfit(pixels, peaks, 1, w=1 / peaks)
    return Line(float(base), float(each))


def miss(steps: Sequence[Step]) -> float:
    """How far the line through all steps but that of the largest image is from its peak, relative to it.

    nan for fewer than three steps.
    """
    if len(steps) < 3:
        return math.nan
    *others, largest = sorted(steps, key=_point)
    pixels, peak = _point(largest)
    return fitted(others).at(pixels) / peak - 1


def _point(step: Step) -> tuple[int, int]:
    return int(np.prod(step.sides)), step.peak
