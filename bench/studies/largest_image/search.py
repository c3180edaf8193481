"""Search for the largest image or volume whose training step fits in memory."""

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

MOST = {2: 16_384, 3: 1024}
"""Side of the largest image, and of the largest volume, that is tried; by number of axes."""
POWER = {2: "²", 3: "³"}
"""Behind the side of an image or a volume."""


@dataclass(slots=True)
class Search:
    """The trials of one task and solver.

    Attributes:
        task, solver: labels.
        axes: 2 for images, 3 for volumes.
        trials: in the order in which they were made.
        done: whether the largest size was found before the time was up.
        reason: the error that ended the search, in one line, if it was not a lack of memory.
    """

    task: str
    solver: str
    axes: int = 2
    trials: list[Trial] = field(default_factory=list[Trial])
    done: bool = False
    reason: str = ""


def next_side(
    trials: Sequence[Trial], grid: int, limit: int, most: int = MOST[2], axes: int = 2
) -> int | None:
    """The next size to try; ``None`` once the largest multiple of ``grid`` that fits is known.

    A step takes about as many bytes a pixel at all sizes. So the next size is the one that this predicts, if it lies
    between the largest that fits and the smallest that does not; otherwise the next multiple, or the middle of the two.
    ``grid`` and ``most`` are in pixels, ``limit`` in bytes; images have 2 ``axes``, volumes 3.
    """
    best = largest_image(trials)
    below = best.crop // grid if best is not None else 0
    above = min((trial.crop // grid for trial in trials if not trial.fits), default=most // grid + 1)
    if above - below <= 1:
        return None
    predicted = math.floor(below * (limit / best.peak) ** (1 / axes)) if best is not None and best.peak else 1
    guess = max(below + 1, predicted)
    return grid * (guess if guess < above else (below + above) // 2)


def largest_image(trials: Iterable[Trial]) -> Trial | None:
    """The trial of the largest image that fits; ``None`` if none does."""
    return max((trial for trial in trials if trial.fits), key=lambda trial: trial.crop, default=None)


def search_grid(
    task: Task,
    solver: Solver | ExternalSolver,
    device: torch.device,
    limit: int,
    grid: int,
    end: float,
    progress: Callable[[Search], None] = lambda state: None,
) -> Search:
    """Search the largest square image, or cube, whose training step fits in ``limit`` bytes.

    Sides are multiples of ``grid`` pixels. No trial begins after ``end``, on the clock of ``time.monotonic``; after
    each one, ``progress`` is called.
    """
    state = Search(task.label, solver.label, task.axes)
    while (crop := next_side(state.trials, grid, limit, MOST[task.axes], task.axes)) is not None:
        if time.monotonic() >= end:
            return state
        try:
            state.trials.append(attempt(task, solver, crop, device, limit))
        except Exception as error:  # e.g. a library that does not support this size
            state.reason = f"{crop}{POWER[task.axes]}: {in_a_line(error)}"
            error.__traceback__ = None
            progress(state)
            return state
        progress(state)
    state.done = True
    return state
