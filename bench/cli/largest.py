"""The command ``largest``."""

from __future__ import annotations

import math
from typing import Annotated

import typer

from ..utils.console import say
from ..utils.terminal import stdout_to_stderr
from .options import Device, Out


def largest(
    out: Out,
    task: Annotated[
        list[str] | None, typer.Option(help="Tasks in place of the default ones.", metavar="TASK")
    ] = None,
    solver: Annotated[
        list[str] | None, typer.Option(help="Solvers in place of the default ones.", metavar="SOLVER")
    ] = None,
    limit: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE", help="Memory, e.g. 256MiB or 78GiB; by default the free memory of the GPU."
        ),
    ] = None,
    grid: Annotated[int, typer.Option(min=8, max=4096, help="Sides are multiples of so many pixels.")] = 64,
    within: Annotated[
        str | None, typer.Option(metavar="TIME", help="Begin no step after so long (90s, 8m).")
    ] = None,
    device: Device = "auto",
) -> None:
    """Find the largest image that fits in memory in training.

    For each task and solver, the largest side is searched at which one training step on one image fits.

    \b
    python -m bench largest --out results/largest --limit 256MiB --device cpu
    """
    from ..config.lookup import parse_user_solver, parse_user_task
    from ..execution.time_budget import parse_seconds
    from ..studies.largest_image.study import SOLVERS, TASKS, study
    from ..studies.largest_image.trial import limit_on
    from ..utils.device import pick_device

    where, seconds = pick_device(device), math.inf if within is None else parse_seconds(within)
    with stdout_to_stderr():
        tasks = [parse_user_task(text).value for text in task or TASKS]
        solvers = [parse_user_solver(text).value for text in solver or SOLVERS]
    files = study(
        tasks,
        solvers,
        out,
        device=where,
        limit=limit_on(where, limit),
        grid=grid,
        within=seconds,
        progress=say,
    )
    for file in files:
        print(file)  # noqa: T201
