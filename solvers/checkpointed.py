"""Unrolling with checkpoints."""

from __future__ import annotations

import math

from ._backward.modes import TruncatedBackprop
from ._core.argument_checks import at_least
from ._core.solver import Solver
from ._forward.picard import FixedSteps


def checkpointed(K: int, segment: int = 0) -> Solver:
    """``unrolled(K)`` with checkpoints: the same gradient to the bit, with less memory.

    The backward pass repeats the applications of one segment at a time.

    Cost: 2K applications, K vector-Jacobian products. Tape: K / segment points, and the applications of one segment.

    Args:
        K: number of layers, at least 1.
        segment: layers between two checkpoints; 0 for about √K, which needs the least memory.

    Raises:
        ValueError: K is not a whole number of at least 1, or ``segment`` is negative.

    Source: Chen et al., *Training deep nets with sublinear memory cost* (arXiv 1604.06174).
    """
    at_least("K", K, 1)
    at_least("segment", segment, 0)
    label = f"checkpointed({K}, {segment})" if segment else f"checkpointed({K})"
    return Solver(label, FixedSteps(0), TruncatedBackprop(K, segment=segment or math.isqrt(K - 1) + 1))
