"""The two loops of L-BFGS: a direction from the last differences of points and gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from torch import Tensor

from .._core.batch import inner

Pairs: TypeAlias = list[tuple[Tensor, Tensor]]
"""Differences ``(θ' − θ, F'(θ') − F'(θ))`` of accepted steps, oldest first."""
CURVED = 1e-3
"""A pair is kept if the cosine of its two differences is above this: errors of gradients may make it negative."""


def direction(gradient: Tensor, pairs: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """``−H g`` with the inverse Hessian H that the pairs imply; ``−g`` without pairs.

    Source: Nocedal & Wright, *Numerical Optimization* (2006), algorithm 7.4, with the scaling (7.20).
    """
    q = -gradient
    weights: list[float] = []
    for s, y in reversed(pairs):
        weights.append(inner(s, q) / inner(s, y))
        q = q - weights[-1] * y
    if pairs:
        s, y = pairs[-1]
        q = q * (inner(s, y) / inner(y, y))
    for (s, y), weight in zip(pairs, reversed(weights), strict=True):
        q = q + (weight - inner(y, q) / inner(s, y)) * s
    return q


def extended(pairs: Sequence[tuple[Tensor, Tensor]], s: Tensor, y: Tensor, memory: int) -> Pairs:
    """The pairs with another, at most ``memory``; without it if it shows no positive curvature."""
    if not inner(s, y) > CURVED * (inner(s, s) * inner(y, y)) ** 0.5:
        return list(pairs)
    return [*pairs, (s, y)][-memory:]
