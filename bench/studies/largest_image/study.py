"""The search for several solvers on several tasks, and its table."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch

from solvers import Solver

from ...external import ExternalSolver
from ...tasks import Task
from ...utils.atomic_files import make_folder, write_atomically
from ...utils.json_values import finite
from ...utils.precision import disable_tf32
from ...utils.provenance import device_name, provenance
from .search import MOST, POWER, Search, largest_image, search_grid
from .trial import UNITS

TASKS = ("deblurring_colour(l1)", "deblurring_colour(drunet)")
SOLVERS = (
    "unrolled(40)",
    "implicit(anderson(0.01, 20), gmres(0.1, 40))",
    "restarted_jfb(10, 10)",
    "unrolled(160)",
    "checkpointed(160)",
)
"""Default solvers. The small budgets of ``implicit`` shorten its step; by then all its vectors are allocated."""


def study(
    tasks: list[Task],
    solvers: list[Solver | ExternalSolver],
    out: Path,
    *,
    device: torch.device,
    limit: int,
    grid: int,
    within: float = math.inf,
    progress: Callable[[str], None] = lambda line: None,
) -> list[Path]:
    """Search for each solver on each task, and write ``largest_image.json`` and ``largest_image.md`` after each trial.

    No trial begins after ``within`` seconds; ``progress`` gets one line for each. Returns the files.
    """
    end = time.monotonic() + within
    finished: list[Search] = []
    settings = {"limit": limit, "grid": grid, "most": MOST, "provenance": provenance(device)}
    title = (
        f"# The largest image of a training step in {limit / UNITS['MiB']:.0f} MiB of {device_name(device)}"
    )
    table, raw = out / "largest.md", out / "largest.json"
    make_folder(out)

    def write(searches: list[Search]) -> None:
        rows = finite(settings | {"searches": [asdict(each) for each in searches]})
        write_atomically(raw, json.dumps(rows, ensure_ascii=False, allow_nan=False))
        write_atomically(table, f"{title}\n\n{to_markdown(searches, grid)}")

    def report(state: Search) -> None:
        result = state.reason
        if not result:
            last = state.trials[-1]
            result = f"{last.crop}{POWER[state.axes]} {'fits' if last.fits else 'does not fit'}"
        progress(f"{state.task} · {state.solver}: {result}")
        write([*finished, state])

    with disable_tf32():
        for solver in solvers:
            for task in tasks:
                if time.monotonic() < end:
                    finished.append(search_grid(task, solver, device, limit, grid, end, report))
    write(finished)
    return [table, raw]


HEADER = ["task", "solver", "largest image", "peak, MiB", "bytes a pixel", "seconds of the step", "trials"]


def to_markdown(searches: list[Search], grid: int) -> str:
    """The searches as a table, one row each."""
    rows = [HEADER, ["---"] * len(HEADER), *(_row(state, grid) for state in searches)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows) + _LEGEND


def _row(state: Search, grid: int) -> list[str]:
    best, trials = largest_image(state.trials), f"{len(state.trials)}"
    if state.reason:
        trials += f"; {state.reason}".replace("|", "\\|")
    elif not state.done:
        trials += "; the time was up"
    size, peak, per_pixel, seconds = "none", "–", "–", "–"
    if best is not None:
        size = f"{best.crop}{POWER[state.axes]}" + " (none larger was tried)" * (
            best.crop + grid > MOST[state.axes]
        )
        if best.peak is not None:
            peak, per_pixel = f"{best.peak / UNITS['MiB']:.1f}", f"{best.peak / best.crop**state.axes:.0f}"
        if best.seconds is not None:
            seconds = f"{best.seconds:.3g}"
    return [f"`{state.task}`", f"`{state.solver}`", size, peak, per_pixel, seconds, trials]


_LEGEND = """
---
A training step in float32 on one square image, or one cube, of that side stays within the limit; on the next multiple
of the grid it does not. *peak*: bytes alive at once, those of the image, its measurement and the weights among them; on
a GPU those of the allocator, in its blocks; on a CPU the sum of the storages. *seconds* are of one step, the second on
that image, and no timing: `python -m bench run gpu` takes those.
"""
