"""What no card calls the best, and why: a sentence."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ...analysis.recommendation import Candidate

NAMED = 3
"""Solvers that a sentence has room for."""


def left_out(choices: Sequence[Candidate], failed: Sequence[str]) -> str:
    """Why solvers of a heading are not considered; empty where all are.

    Args:
        choices: those that ended well on every seed.
        failed: the others.
    """
    trained = [o for o in choices if not math.isnan(o.psnr)]
    lost = [o for o in trained if not math.isfinite(o.psnr_equilibrium)]
    leaving = [o for o in trained if math.isfinite(o.psnr_equilibrium) and not o.stays]
    sentences = []
    if leaving:
        sentences.append(
            f"plain iteration leaves the equilibrium of {some_names([o.solver for o in leaving])}"
        )
    if lost:
        residuals = [o.residual for o in lost if math.isfinite(o.residual)]
        least = f" (residuals from {min(residuals):.1e})" if residuals else ""
        sentences.append(f"no equilibrium was found for {some_names([o.solver for o in lost])}{least}")
    if failed:
        sentences.append(f"{some_names(failed)} did not end well on every seed")
    if not sentences:
        return ""
    text = f"Left out: {'; '.join(sentences)}."
    far = [o for o in (*lost, *leaving) if math.isfinite(o.far)]
    if far:
        highest = max(far, key=lambda o: o.far)
        text += f" The highest of them at 10\u00a0× its depth: {highest.solver}, {highest.far:.2f}\u00a0dB."
    return text


def some_names(solvers: Sequence[str]) -> str:
    """A few names, and how many more."""
    shown, more = list(solvers[:NAMED]), len(solvers) - NAMED
    if more > 0:
        return f"{', '.join(shown)} and {more} more"
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
