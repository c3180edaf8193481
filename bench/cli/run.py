"""The command ``run``."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import asdict
from json import dumps
from typing import Annotated

import typer
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from ..utils.console import console, say
from ..utils.errors import UserError
from ..utils.terminal import printed_json, stdout_to_stderr
from .options import Bf16, Device, Images, Json, Out, ProfileName, Weights


def run(
    profile: ProfileName,
    out: Out,
    images: Images = None,
    device: Device = "auto",
    weights: Weights = None,
    bf16: Bf16 = False,
    task: Annotated[
        list[str] | None,
        typer.Option(help="Only this task of the profile; or add your own, FILE.py:NAME.", metavar="TASK"),
    ] = None,
    solver: Annotated[
        list[str] | None,
        typer.Option(
            help="Only this solver of the profile; or add your own, FILE.py:NAME.", metavar="SOLVER"
        ),
    ] = None,
    operator: Annotated[
        list[str] | None,
        typer.Option(
            help="Only this operator of the profile; or add your own, FILE.py:NAME.", metavar="OPERATOR"
        ),
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Processes side by side; one a core, or one on a GPU.")
    ] = None,
    cells_per_process: Annotated[
        int | None,
        typer.Option(
            min=1, help="Cells that a process measures before a new one replaces it; 1, or 50 on a GPU."
        ),
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Start so many Dask workers, one a GPU.")] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(help="Use a Dask scheduler: tcp://HOST:PORT, or its file.", metavar="ADDRESS"),
    ] = None,
    within: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Stop measuring after so long (90s, 8m, 1.5h), and measure the most useful cells first.",
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print errors only.")] = False,
    json: Json = False,
) -> None:
    """Measure a profile; write tables, figures and a page.

    A task with an operator, a solver and a seed is a cell. Cells that --out already holds are not measured again.

    \b
    python -m bench run quick --out results/quick
    python -m bench run quick --out results/quick --solver './my_solver.py:mine(10)'
    python -m bench run paper --out results/paper --device cuda --images ~/photographs
    """
    if device in ("cpu", "auto") and workers is None and scheduler is None:
        # The server of the cells' processes takes seconds to import what this process imports below: side by side.
        from ..execution.process_pool import start_forkserver

        start_forkserver()
    from ..analysis.recommendation import candidates
    from ..config.lookup import DenoiserOptions
    from ..config.matrix import load_profile
    from ..execution.dask_cluster import SchedulerLost, chosen_cluster
    from ..execution.runner import run_profile
    from ..execution.time_budget import parse_seconds
    from ..records.record import FINISHED
    from ..report.report import no_page, render_report, write_files
    from ..report.run_data import read_run
    from ..report.verdict import run_verdict
    from ..utils.device import pick_device

    console.quiet = quiet
    if workers is not None or scheduler is not None:
        if within is not None:
            raise UserError("--within and a cluster exclude each other: leave --workers and --scheduler out")
        if cells_per_process is not None:
            raise UserError(
                "--cells-per-process and a cluster exclude each other: on a cluster each cell has a process of its own"
            )
    seconds = math.inf if within is None else parse_seconds(within)
    chosen = load_profile(profile)
    try:
        with (
            stdout_to_stderr(),
            _progress() as progress,
            chosen_cluster(device, jobs, workers, scheduler) as cluster,
        ):
            outcome = run_profile(
                chosen,
                out,
                images=images,
                device=cluster.call(pick_device, device) if cluster else pick_device(device),
                tasks=task,
                operators=operator,
                solvers=solver,
                networks=DenoiserOptions(weights, bf16),
                jobs=jobs,
                cluster=cluster,
                within=seconds,
                cells_per_process=cells_per_process,
                progress=progress,
                notice=lambda line: say(line, "yellow"),
            )
    except SchedulerLost as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        raise typer.Exit(1) from error
    say(f"cells: {', '.join(f'{count} {status}' for status, count in outcome.items() if count)}")
    with console.status("writing tables, figures and the page"):
        written = read_run(out)
        files = write_files(out, render_report(written))
    if outcome["left"]:
        say(f"{outcome['left']} cells are left after {within}: the same line goes on from there")
    page = out / "index.html"
    where = f"page: {page}" if page in files else no_page(out)
    say(f"tables: {out / 'tables' / 'tables.md'}, figures: {out / 'figures'}, {where}")
    verdict = run_verdict(written.frame, candidates(written.frame))
    for line in verdict.lines():
        say(line)
    failed = sum(count for status, count in outcome.items() if status not in FINISHED | {"stored", "left"})
    if json:
        summary = {
            "out": str(out),
            "cells": dict(outcome),
            "failed": failed,
            "verdict": asdict(verdict),
            "files": list(map(str, files)),
        }
        print(printed_json(dumps(summary, ensure_ascii=False)))  # noqa: T201
    if failed:
        console.quiet = False
        say(f"{failed} cells failed: the tables list them at the end; they run again next time", "red")
        raise typer.Exit(1)


@contextmanager
def _progress() -> Generator[Callable[[str, int, int], None]]:
    """Show a bar with the remaining time on a terminal, and a line for each cell elsewhere."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    bar = Progress(*columns, console=console, disable=not console.is_terminal)
    line = bar.add_task("starting")

    def progress(what: str, done: int, total: int) -> None:
        bar.start()  # only now: an error in the input is one line, without a bar above it
        bar.update(line, completed=done, total=total, description=what or "starting")
        if what and not console.is_terminal:
            say(f"{done}/{total} {what}")

    try:
        yield progress
        bar.update(line, description="done")
    finally:
        bar.stop()
