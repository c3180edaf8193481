"""Steps in processes of their own, so that the memory of one is not that of another."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from ...utils.errors import UserError
from .step import Step, take


def isolated_step(
    task: str,
    operator: str,
    solver: str,
    sides: tuple[int, ...] = (),
    *,
    file: Path | None = None,
    double: bool = False,
    threads: int = 1,
) -> Step:
    """Take one step in a new process; see ``take``. Raises ``UserError`` too if the system ends the process."""
    # By default glibc keeps blocks below 32 MiB, once freed, between those that a tape holds: the resident set of a
    # small volume is then twice that of its tensors, and that of a large one is not.
    os.environ.setdefault("MALLOC_MMAP_THRESHOLD_", str(2**16))
    # Processes are copies of one that has imported the code and computed nothing.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([take.__module__])
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        try:
            return pool.submit(take, task, operator, solver, sides, file, double, threads).result()
        except BrokenProcessPool as error:
            raise UserError(
                f"{solver} on {operator}: the process was ended; is there enough memory?"
            ) from error


def relative_error(found: Step, exact: Step) -> float:
    """``‖g − exact‖ / ‖exact‖`` of two gradients."""
    pairs = zip(found.gradient, exact.gradient, strict=True)
    return (sum((a - b) ** 2 for a, b in pairs) / sum(b * b for b in exact.gradient)) ** 0.5
