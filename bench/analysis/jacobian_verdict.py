"""A Jacobian norm in words."""

from __future__ import annotations

import math

MARGIN = 1e-4
"""A norm within this of 1 counts as nonexpansive; printed digits end here too."""


def verdict(norm: float) -> str:
    """``contractive (L = 0.9803)``, ``nonexpansive`` or ``not contractive here (L = 1.31)``."""
    if math.isnan(norm):
        return "—"
    if norm < 1 - MARGIN:
        return f"contractive (L = {norm:.4f})"
    if norm <= 1 + MARGIN:
        return "nonexpansive"
    return f"not contractive here (L = {norm:.2f})"
