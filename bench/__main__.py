"""The command ``python -m bench``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from .command import call, console, print_frame
from .errors import UserError, unknown
from .options import Bf16, Device, Images, Out, Weights
from .studies import studies

app = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def main() -> None:
    """Compare gradient estimators at equilibrium on imaging tasks: accuracy, memory, time.

    \b
    python -m bench list solvers
    python -m bench run quick --out results/quick
    python -m bench report results/quick
    python -m bench compare results/quick results/reference/quick-cpu
    """


@app.command("list")
def list_(what: Annotated[str, typer.Argument(help="solvers, tasks or profiles")]) -> None:
    """List what there is: solvers (the parts of implicit, and the peers, below them), tasks or profiles."""
    table = Table(box=None, pad_edge=False)
    if what == "solvers":
        from solvers import PARTS, ROSTER

        from .calls import signature
        from .peers import PEERS

        table.add_column("solver, part of one, or peer")
        table.add_column("what it does")
        solvers = {name: estimator.make for name, estimator in ROSTER.items()}
        for name, make in (*solvers.items(), *PARTS.items(), *PEERS.items()):
            table.add_row(signature(name, make), _first_line(make))
    elif what == "tasks":
        from .calls import signature
        from .operators import DENOISED, PRIORS
        from .tasks import ROSTER as TASKS

        table.add_column("task or prior")
        table.add_column("what it is")
        for name, make in (*TASKS.items(), *PRIORS.items(), *DENOISED.items()):
            table.add_row(signature(name, make), _first_line(make))
    elif what == "profiles":
        from .matrix import cells, load_profile, profile_names

        for title in ("profile", "cells", "what it is for"):
            table.add_column(title)
        for name in profile_names():
            profile = load_profile(name)
            table.add_row(name, str(sum(map(len, cells(profile)))), profile.summary)
    else:
        raise unknown("list", what, ["solvers", "tasks", "profiles"])
    Console(width=None if sys.stdout.isatty() else 160).print(table)


def _first_line(thing: object) -> str:
    return (thing.__doc__ or "").strip().splitlines()[0].replace("``", "")


@app.command()
def run(
    profile: Annotated[str, typer.Argument(help="smoke, quick, paper, or a .toml file")],
    out: Out,
    images: Images = None,
    device: Device = "auto",
    weights: Weights = None,
    bf16: Bf16 = False,
    task: Annotated[list[str] | None, typer.Option("--task", help="Only this task of the profile.")] = None,
    solver: Annotated[list[str] | None, typer.Option("--solver", help="Only this solver of it.")] = None,
    jobs: Annotated[int | None, typer.Option("--jobs", min=1, help="Processes side by side.")] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Start so many Dask workers here, one a GPU.")
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option("--scheduler", help="A Dask scheduler that runs: tcp://HOST:PORT or its file."),
    ] = None,
) -> None:
    """Measure the cells of a profile that --out does not hold yet; then write its tables and figures."""
    if device in ("cpu", "auto") and workers is None and scheduler is None:
        # What cells run in takes seconds to import what this process imports below: side by side.
        from .isolate import prepare

        prepare()
    from .cluster import Lost, chosen_cluster
    from .matrix import Networks, load_profile
    from .records import FINISHED
    from .report import write_report
    from .runner import pick_device
    from .runner import run as run_matrix

    chosen = load_profile(profile)
    columns = (
        TextColumn("{task.description}"),
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
            console.print(f"{done}/{total} {what}", highlight=False, soft_wrap=True)

    try:
        with chosen_cluster(device, jobs, workers, scheduler) as cluster:
            outcome = run_matrix(
                chosen,
                out,
                images=images,
                device=cluster.ask(pick_device, device) if cluster else pick_device(device),
                tasks=task,
                solvers=solver,
                networks=Networks(weights, bf16),
                jobs=jobs,
                cluster=cluster,
                progress=progress,
                notice=lambda line: console.print(line, style="yellow", highlight=False, soft_wrap=True),
            )
            bar.update(line, description="done")
    except Lost as error:
        bar.stop()
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        raise typer.Exit(1) from error
    finally:
        bar.stop()
    words = [f"{count} {status}" for status, count in outcome.items() if count]
    console.print(f"cells: {', '.join(words)}", highlight=False)
    write_report(out)
    console.print(
        f"tables: {out / 'tables' / 'tables.md'}, figures: {out / 'figures'}", highlight=False, soft_wrap=True
    )
    failed = sum(count for status, count in outcome.items() if status not in FINISHED | {"stored"})
    if failed:
        console.print(
            f"[red]{failed} cells failed: the tables list them at the end; they run again next time"
        )
        raise typer.Exit(1)


@app.command()
def slurm(
    profile: Annotated[str, typer.Argument(help="quick, paper, or a .toml file")],
    out: Out,
    options: Annotated[
        list[str] | None, typer.Argument(help="Further options of run, after --: -- --images DIR")
    ] = None,
    gpus: Annotated[int, typer.Option("--gpus", min=0, help="A worker for each; 0 for a CPU run.")] = 0,
    time: Annotated[str, typer.Option("--time", help="As SLURM writes it.")] = "24:00:00",
    partition: Annotated[str | None, typer.Option("--partition")] = None,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Without GPUs: how many.")] = 1,
) -> None:
    """Print the batch script that runs a profile on SLURM: > job.sh, then sbatch job.sh."""
    from .matrix import load_profile
    from .slurm import Matrix, Request, script

    found = load_profile(profile)
    request = Request(gpus, workers, time, partition)
    print(script(Matrix(profile, found.name, out, found.threads, options or []), request), end="")  # noqa: T201


@app.command()
def plan(
    profile: Annotated[str, typer.Argument(help="quick, paper, or a .toml file")],
    source: Annotated[
        list[Path] | None, typer.Option("--from", help="A run to learn from; by default the committed ones.")
    ] = None,
    workers: Annotated[
        list[int] | None, typer.Option("--workers", min=1, help="1, 2, 4 and 8 by default.")
    ] = None,
) -> None:
    """Predict the time and memory of a profile from stored records, beside what was measured."""
    from .forecast import checks, matrix_table, needs_of, precedents, remarks, workers_table
    from .matrix import load_profile
    from .provenance import ROOT

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


@app.command()
def report(folder: Annotated[Path, typer.Argument(help="The --out of a run.")]) -> None:
    """Write the tables and figures of a run again, from its records."""
    from .records import Store
    from .report import write_report

    for file in write_report(folder):
        print(file)  # noqa: T201
    store = Store(folder)
    manifest = store.manifest()
    if damaged := store.damaged(manifest.cells if manifest else []):
        console.print(
            f"{len(damaged)} damaged records are not shown: the run makes them again", highlight=False
        )
    if stale := store.stale():
        console.print(
            f"{len(stale)} records of older code, versions or settings are not shown", highlight=False
        )


@app.command()
def compare(
    folder: Annotated[Path, typer.Argument(help="The --out of a run.")],
    reference: Annotated[Path, typer.Argument(help="The run to hold it against.")],
) -> None:
    """Hold a run against a reference: columns that no machine should change. Exit code 1 if they differ."""
    from .compare import compare as hold

    differences, overview = hold(folder, reference)
    print_frame(overview, "held against the reference")
    if len(differences):
        print_frame(differences, "beyond the tolerance")
        console.print(f"[red]{len(differences)} values differ from {reference}")
        raise typer.Exit(1)
    console.print(f"every value agrees with {reference}", highlight=False, soft_wrap=True)


@app.command()
def cell(
    task: Annotated[str, typer.Option("--task", help="As in the tables, e.g. 'deblurring(huber)'.")],
    solver: Annotated[str, typer.Option("--solver", help="As in the tables, e.g. 'restarted_jfb(10, 10)'.")],
    seed: Annotated[int, typer.Option("--seed", min=0)] = 0,
    profile: Annotated[
        str, typer.Option("--profile", help="Sizes and training are this profile's.")
    ] = "quick",
    images: Images = None,
    device: Device = "auto",
    weights: Weights = None,
    bf16: Bf16 = False,
    json: Annotated[
        bool, typer.Option("--json", help="The record as one JSON object, and nothing else.")
    ] = False,
) -> None:
    """Measure one cell here and now, and store nothing."""
    from .frame import tidy
    from .matrix import Cell, Networks, admits, check_precision, load_profile, parse_solver, parse_task
    from .operators import Denoised
    from .records import FINISHED
    from .runner import images_for, pick_device, plan, run_cell

    chosen = load_profile(profile)
    networks = Networks(weights, bf16)
    check_precision(chosen, networks)
    one = Cell(parse_task(task, networks), parse_solver(solver), seed)
    if not admits(one.task, one.solver):
        raise UserError(
            f"{one.task.label} has parameters of its own for each of {one.task.prior.layers} layers: "
            f"give --solver 'unrolled({one.task.prior.layers})'"
        )
    if networks.given() and not isinstance(one.task.prior, Denoised):
        raise UserError(f"{networks.given()}: {one.task.label} has no denoiser")
    where = pick_device(device)
    (job, *_), _ = plan([(chosen, [one])], images_for([(chosen, [one])], images), where)
    record = run_cell(job, None)
    if json:
        print(record.to_json())  # noqa: T201
    else:
        shown = tidy([record]).T.reset_index()
        shown.columns = ["", str(one)]
        print_frame(shown, "")
    if record.status not in FINISHED:
        console.print(f"[red]{record.reason}", highlight=False)
        raise typer.Exit(1)


app.add_typer(studies)


def entry(arguments: list[str] | None = None) -> int:
    """Run the command. Returns its exit code: 2 with one line on standard error for bad input."""
    return call(app, "python -m bench", arguments)


if __name__ == "__main__":
    sys.exit(entry())
