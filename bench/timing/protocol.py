"""Numbers of rounds, steps and bare loops of a timing.

Each round of a solver lies between two rounds of its bare loop; afterwards the bare loop is timed against itself.
"""

from __future__ import annotations

WARM_UP = 2
"""Untimed steps, and as many untimed bare loops."""
LEAST_ROUNDS = 3


def round_count(most: int, seconds: float, step_and_loop: float) -> int:
    """Rounds of a timing: at most ``most``, and as many as fit into ``seconds``, but at least ``LEAST_ROUNDS``."""
    return max(LEAST_ROUNDS, min(most, int(seconds / step_and_loop))) if step_and_loop > 0 else LEAST_ROUNDS


def control_count(rounds: int) -> int:
    """Bare loops that are timed against each other after ``rounds`` rounds."""
    return 2 * rounds + 1


def step_count(rounds: int) -> int:
    """All steps and bare loops of a timing of ``rounds`` rounds: counting step, warm-up, rounds and control."""
    return 1 + 2 * WARM_UP + rounds + (rounds + 1) + control_count(rounds)
