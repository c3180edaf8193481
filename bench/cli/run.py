"""The commands that run a matrix, or say what it would take."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from json import dumps
from pathlib import Path
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

from ..utils.console import console, print_frame, say
from ..utils.terminal import aside, printed_json
from .options import Bf16, Device, Images, Json, Out, ProfileName, Weights

matrices = typer.Typer(rich_markup_mode=None)


@matrices.command()
def run(
    profile: ProfileName,
    out: Out,
    images: Images = None,
    device: Device = "auto",
    weights: Weights = None,
    bf16: Bf16 = False,
    task: Annotated[
        list[str] | None, typer.Option("--task", help="Only this task of the profile, or FILE.py:NAME.")
    ] = None,
    solver: Annotated[
        list[str] | None, typer.Option("--solver", help="Only this solver of it, or FILE.py:NAME.")
    ] = None,
    jobs: Annotated[int | None, typer.Option("--jobs", min=1, help="Processes side by side.")] = None,
    cells_per_process: Annotated[
        int | None,
        typer.Option(
            "--cells-per-process",
            min=1,
            help="Cells that a process measures before a new one takes its place: 1, and 50 on a GPU.",
        ),
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Start so many Dask workers here, one a GPU.")
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option("--scheduler", help="A Dask scheduler that runs: tcp://HOST:PORT or its file."),
    ] = None,
    within: Annotated[
        str | None,
        typer.Option(
            "--within",
            metavar="TIME",
            help="Measure for so long (90s, 8m, 1.5h), what tells most first; tables and figures follow.",
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Say nothing but what went wrong.")] = False,
    json: Json = False,
) -> None:
    """Measure the cells of a profile that --out does not hold yet; then write its tables, figures and page.

    \b
    python -m bench run quick --out results/quick
    python -m bench run quick --out results/quick --solver './my_solver.py:mine(10)'
    python -m bench run paper --out results/paper --device cuda --images ~/photographs
    """
    if device in ("cpu", "auto") and workers is None and scheduler is None:
        # What cells run in takes seconds to import what this process imports below: side by side.
        from ..execution.process_pool import prepare

        prepare()
    from ..config.matrix import DenoiserOptions, load_profile
    from ..execution.dask_cluster import SchedulerLost, chosen_cluster
    from ..execution.runner import run_profile as run_matrix
    from ..execution.time_budget import seconds_of
    from ..records.record import FINISHED
    from ..report.report import no_page, write_report
    from ..utils.device import pick_device
    from ..utils.errors import UserError

    console.quiet = quiet
    if within is not None and (workers is not None or scheduler is not None):
        raise UserError("--within and a cluster exclude each other: leave --workers and --scheduler out")
    if cells_per_process is not None and (workers is not None or scheduler is not None):
        raise UserError(
            "--cells-per-process and a cluster exclude each other: on a cluster each cell has a process of its own"
        )
    seconds = math.inf if within is None else seconds_of(within)
    chosen = load_profile(profile)
    try:
        with aside(), _progress() as progress, chosen_cluster(device, jobs, workers, scheduler) as cluster:
            outcome = run_matrix(
                chosen,
                out,
                images=images,
                device=cluster.call(pick_device, device) if cluster else pick_device(device),
                tasks=task,
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
        files = write_report(out)
    if outcome["left"]:
        say(f"{outcome['left']} cells are left after {within}: the same line goes on from there")
    page = out / "index.html"
    where = f"page: {page}" if page in files else no_page(out)
    say(f"tables: {out / 'tables' / 'tables.md'}, figures: {out / 'figures'}, {where}")
    failed = sum(count for status, count in outcome.items() if status not in FINISHED | {"stored", "left"})
    if json:
        found = {"out": str(out), "cells": dict(outcome), "failed": failed, "files": [str(f) for f in files]}
        print(printed_json(dumps(found, ensure_ascii=False)))  # noqa: T201
    if failed:
        console.quiet = False
        say(f"{failed} cells failed: the tables list them at the end; they run again next time", "red")
        raise typer.Exit(1)


@contextmanager
def _progress() -> Generator[Callable[[str, int, int], None]]:
    """A bar with the remaining time on a terminal, and a line a cell elsewhere."""
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
        bar.start()  # not before: bad input is one line, without a bar above it
        bar.update(line, completed=done, total=total, description=what or "starting")
        if what and not console.is_terminal:
            say(f"{done}/{total} {what}")

    try:
        yield progress
        bar.update(line, description="done")
    finally:
        bar.stop()


@matrices.command()
def slurm(
    profile: ProfileName,
    out: Out,
    options: Annotated[
        list[str] | None, typer.Argument(help="Further options of run, after --: -- --images DIR")
    ] = None,
    gpus: Annotated[int, typer.Option("--gpus", min=0, help="A worker for each; 0 for a CPU run.")] = 0,
    time: Annotated[str, typer.Option("--time", help="As SLURM writes it.")] = "24:00:00",
    partition: Annotated[str | None, typer.Option("--partition")] = None,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Without GPUs: how many.")] = 1,
) -> None:
    """Print the batch script that runs a profile on SLURM.

    \b
    python -m bench slurm paper --out results/paper --gpus 8 > job.sh
    sbatch job.sh
    """
    from ..config.matrix import load_profile
    from ..execution.slurm_script import BatchJob

    found = load_profile(profile)
    job = BatchJob(
        profile, found.name, out, found.threads, tuple(options or ()), gpus, workers, time, partition
    )
    print(job.script(), end="")  # noqa: T201


@matrices.command()
def plan(
    profile: ProfileName,
    source: Annotated[
        list[Path] | None, typer.Option("--from", help="A run to learn from; by default the committed ones.")
    ] = None,
    workers: Annotated[
        list[int] | None, typer.Option("--workers", min=1, help="1, 2, 4 and 8 by default.")
    ] = None,
) -> None:
    """Predict the time and memory of a profile from stored records, beside what was measured.

    \b
    python -m bench plan paper --workers 8
    python -m bench plan paper --from results/quick
    """
    from ..config.matrix import load_profile
    from ..planning.forecast import checks, matrix_table, needs_of, precedents, remarks, workers_table
    from ..utils.provenance import ROOT

    needs = needs_of(load_profile(profile))
    found = sorted(file.parent for file in (ROOT / "results" / "reference").glob("*/manifest.json"))
    known = precedents(source or found)
    model = known.model(range(len(known.pairs)))
    guesses = [model.guess(need) for need in needs]
    print_frame(matrix_table(guesses, known), "what it takes")
    print_frame(workers_table(guesses, workers or [1, 2, 4, 8], known.device), "and with workers")
    print_frame(checks(known), "predictions of what was run, by what knew nothing of it")
    for line in remarks(guesses, known, model):
        print(line)  # noqa: T201
