"""The smoothed absolute value: Huber's function at 1."""

from __future__ import annotations

from torch import Tensor


def huber(u: Tensor) -> Tensor:
    """``u²/2`` for ``|u| ≤ 1``, ``|u| − ½`` beyond."""
    inside = u.clamp(-1, 1)
    return inside * (u - inside / 2)


def huber_slope(u: Tensor) -> Tensor:
    """Its derivative, ``u`` cut to [−1, 1]."""
    return u.clamp(-1, 1)
