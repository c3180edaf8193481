"""Unrolling with checkpoints."""

from __future__ import annotations

import math

from ._backward.modes import TruncatedBackprop
from ._core.argument_checks import at_least
from ._core.solver import Solver
from ._forward.picard import FixedSteps


def checkpointed(K: int, segment: int = 0) -> Solver:
    """``unrolled(K)`` with most of its tape made again on the way back: its gradient, to the bit, on less memory.

    Cost: 2K applications, K vector-Jacobian products, a tape of K / segment points; the applications of one segment
    are alive at a time.

    Args:
        K: layers, at least 1.
        segment: layers between two points that are kept; 0 for about √K, where the memory is least.

    Raises:
        ValueError: K is not a whole number of at least 1, or ``segment`` is negative.

    Source: Chen et al., *Training deep nets with sublinear memory cost* (arXiv 1604.06174).
    """
    at_least("K", K, 1)
    at_least("segment", segment, 0)
    label = f"checkpointed({K}, {segment})" if segment else f"checkpointed({K})"
    return Solver(label, FixedSteps(0), TruncatedBackprop(K, segment=segment or math.isqrt(K - 1) + 1))
