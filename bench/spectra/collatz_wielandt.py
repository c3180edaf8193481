"""The largest eigenvalue of a symmetric matrix with non-negative entries, enclosed from both sides.

Let B be symmetric with ``B_ij ≥ 0``, and ``x > 0``. Then

    ⟨x, Bx⟩ / ⟨x, x⟩  ≤  λ_max(B)  ≤  max_i (Bx)_i / x_i.

The left is Rayleigh's quotient; the right, Collatz (1942) and Wielandt (1950): with μ the maximum, ``Bx ≤ μx``, so the
norm ``max_i |v_i| / x_i`` of ``Bv`` is at most μ times that of v, and no eigenvalue exceeds μ. Nothing else is assumed,
not irreducibility either. After an application, an entry is 0 only where a row of B is; such rows are left out.

The power iteration from ``x = 1`` stays non-negative, and both sides close at its rate.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

ROUNDING = 1e-9
"""Relative rounding, outward: a sum of n non-negative terms rounds off at most ``n·2⁻⁵³`` of itself in float64, and n
stays below a million."""
APPLICATIONS = 20
GAP = 1e-4


@dataclass(frozen=True, slots=True)
class Enclosure:
    """``lower ≤ λ_max ≤ upper``, after so many applications."""

    lower: float
    upper: float
    applications: int


@torch.no_grad()
def enclose(
    B: Callable[[Tensor], Tensor], one: Tensor, applications: int = APPLICATIONS, gap: float = GAP
) -> Enclosure | None:
    """Enclose the largest eigenvalue of B.

    Args:
        B: symmetric, with non-negative entries: who calls it must know that.
        one: a tensor of ones, float64, of the shape that B takes.
        applications: at most so many are made.
        gap: stop where ``upper/lower − 1`` is below it.

    Returns:
        The enclosure; ``None`` if an application of B to a non-negative vector has a negative entry, so that B is not
        as it must be.
    """
    x, lower, upper, count = one, 0.0, float("inf"), 0
    for count in range(1, applications + 1):
        y = B(x)
        if not bool((y >= 0).all()):
            return None
        seen = y > 0
        if not bool(seen.any()):
            return Enclosure(0.0, 0.0, count)
        upper = min(upper, float((y[seen] / x[seen]).max()) * (1 + ROUNDING))
        lower = max(lower, float((x * y).sum() / x.square().sum()) * (1 - ROUNDING))
        if upper <= lower * (1 + gap):
            break
        x = y / y.max()
    return Enclosure(lower, upper, count)
