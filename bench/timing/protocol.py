"""The protocol of a timing: how many rounds, and how many steps and bare loops they take.

Each round of a solver stands between two rounds of its bare loop; afterwards the bare loop is timed against itself.
"""

from __future__ import annotations

WARM_UP = 2
"""Untimed steps, and as many bare loops."""
LEAST_ROUNDS = 3


def round_count(asked: int, seconds: float, step_and_loop: float) -> int:
    """Rounds of a timing.

    Args:
        asked: at most so many.
        seconds: what all of them may take; ``LEAST_ROUNDS`` are made in any case.
        step_and_loop: seconds of a step and its bare loop.
    """
    return max(LEAST_ROUNDS, min(asked, int(seconds / step_and_loop))) if step_and_loop > 0 else LEAST_ROUNDS


def control_count(rounds: int) -> int:
    """Bare loops that are timed against each other after ``rounds`` rounds."""
    return 2 * rounds + 1


def step_count(rounds: int) -> int:
    """Steps and bare loops of a timing of ``rounds`` rounds, warm-up, counting step and control included."""
    return 1 + 2 * WARM_UP + rounds + (rounds + 1) + control_count(rounds)
