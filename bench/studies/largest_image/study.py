"""The search for several estimators on several tasks, and its table."""

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
from .search import MOST, Search, largest, search
from .trial import UNITS

TASKS = ("deblurring_colour(l1)", "deblurring_colour(drunet)")
SOLVERS = (
    "unrolled(40)",
    "implicit(anderson(0.01, 20), gmres(0.1, 40))",
    "restarted_jfb(10, 10)",
    "unrolled(160)",
    "checkpointed(160)",
)
"""What there is by default. The budgets of ``implicit`` end a step early; its vectors are all there by then."""


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
    """Search for each solver on each task; ``largest.json`` and ``largest.md`` are written after each trial.

    Args:
        tasks, solvers, device, limit, grid: see ``search``.
        out: a folder; made if missing.
        within: seconds after which no trial is begun.
        progress: told of each trial, in a line.

    Returns:
        The files.
    """
    end = time.monotonic() + within
    made: list[Search] = []
    about = {"limit": limit, "grid": grid, "most": MOST, "provenance": provenance(device)}
    title = (
        f"# The largest image of a training step in {limit / UNITS['MiB']:.0f} MiB of {device_name(device)}"
    )
    table, raw = out / "largest.md", out / "largest.json"
    make_folder(out)

    def write(searches: list[Search]) -> None:
        rows = finite(about | {"searches": [asdict(found) for found in searches]})
        write_atomically(raw, json.dumps(rows, ensure_ascii=False, allow_nan=False))
        write_atomically(table, f"{title}\n\n{to_markdown(searches, grid)}")

    def told(found: Search) -> None:
        last = found.trials[-1] if found.trials and not found.reason else None
        words = found.reason if last is None else f"{last.crop}² {'fits' if last.fits else 'does not fit'}"
        progress(f"{found.task} · {found.solver}: {words}")
        write([*made, found])

    with disable_tf32():
        for solver in solvers:
            for task in tasks:
                if time.monotonic() < end:
                    made.append(search(task, solver, device, limit, grid, end, told))
    write(made)
    return [table, raw]


def to_markdown(searches: list[Search], grid: int) -> str:
    """The searches for people: a row each."""
    header = [
        "task",
        "solver",
        "largest image",
        "peak, MiB",
        "bytes a pixel",
        "seconds of the step",
        "trials",
    ]
    rows = [header, ["---"] * len(header), *(_row(found, grid) for found in searches)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows) + _LEGEND


def _row(found: Search, grid: int) -> list[str]:
    best, trials = largest(found.trials), f"{len(found.trials)}"
    if found.reason:
        trials += f"; {found.reason}".replace("|", "\\|")
    elif not found.done:
        trials += "; the time was up"
    row = [f"`{found.task}`", f"`{found.solver}`"]
    if best is None:
        return [*row, "none", "–", "–", "–", trials]
    size = f"{best.crop}²" + " (none larger was tried)" * (best.crop + grid > MOST)
    known = (
        [] if best.peak is None else [f"{best.peak / UNITS['MiB']:.1f}", f"{best.peak / best.crop**2:.0f}"]
    )
    seconds = "–" if best.seconds is None else f"{best.seconds:.3g}"
    return [*row, size, *(known or ["–", "–"]), seconds, trials]


_LEGEND = """
---
A training step in float32 on one square image of that side stays within the limit; on the next multiple of the grid it
does not. *peak*: bytes alive at once, those of the image, its measurement and the weights among them; on a GPU those of
the allocator, in its blocks; on a CPU the sum of the storages. *seconds* are of one step, the second on that image, and
no timing: `python -m bench run gpu` takes those.
"""
