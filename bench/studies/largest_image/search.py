"""A search for the largest image whose training step fits."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import torch

from solvers import Solver

from ...external import ExternalSolver
from ...tasks import Task
from ...utils.errors import in_a_line
from .trial import Trial, attempt

MOST = 16_384
"""Side of the largest image that is tried, in pixels."""


@dataclass(slots=True)
class Search:
    """What was found for one task and estimator.

    Attributes:
        task, solver: labels.
        trials: in the order in which they were made.
        done: whether the largest size is known; not where the time was up.
        reason: in a line, why a trial failed otherwise than for want of memory; it ends the search.
    """

    task: str
    solver: str
    trials: list[Trial] = field(default_factory=list[Trial])
    done: bool = False
    reason: str = ""


def next_side(trials: Sequence[Trial], grid: int, limit: int, most: int = MOST) -> int | None:
    """The next size to try; ``None`` once the largest multiple of ``grid`` that fits is known.

    A step takes about as many bytes a pixel at all sizes, so that the next size is what they promise; where that says
    nothing new, the next multiple, or the middle of what is left. It lies between what fits and what does not.

    Args:
        trials: those so far.
        grid: in pixels.
        limit: in bytes.
        most: in pixels; no larger image is tried.
    """
    best = largest(trials)
    below = best.crop // grid if best is not None else 0
    above = min((trial.crop // grid for trial in trials if not trial.fits), default=most // grid + 1)
    if above - below <= 1:
        return None
    promised = math.floor(below * math.sqrt(limit / best.peak)) if best is not None and best.peak else 1
    guess = max(below + 1, promised)
    return grid * (guess if guess < above else (below + above) // 2)


def largest(trials: Iterable[Trial]) -> Trial | None:
    """The trial of the largest image that fits; ``None`` where none does."""
    return max((trial for trial in trials if trial.fits), key=lambda trial: trial.crop, default=None)


def search(
    task: Task,
    solver: Solver | ExternalSolver,
    device: torch.device,
    limit: int,
    grid: int,
    end: float,
    told: Callable[[Search], None] = lambda found: None,
) -> Search:
    """Search the largest square image whose training step fits.

    Args:
        task, solver, device: of what, by what, where.
        limit: bytes, see ``limit_on``.
        grid: sizes are multiples of it, in pixels.
        end: on the clock of ``time.monotonic``; no trial is begun after it.
        told: called after each trial.
    """
    found = Search(task.label, solver.label)
    while (crop := next_side(found.trials, grid, limit)) is not None:
        if time.monotonic() >= end:
            return found
        try:
            found.trials.append(attempt(task, solver, crop, device, limit))
        except Exception as error:  # a library that does not go so far, say: the other searches go on
            found.reason = f"{crop}²: {in_a_line(error)}"
            error.__traceback__ = None
            told(found)
            return found
        told(found)
    found.done = True
    return found
