"""The command ``python -m bench``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from .cli.cell import cells
from .cli.compare import comparisons
from .cli.completion import completions
from .cli.export import exports
from .cli.new import app as new
from .cli.run import matrices
from .cli.studies import studies
from .utils.console import print_table, run_command, say
from .utils.errors import UserError, unknown

app = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def main() -> None:
    """Compare gradient estimators at equilibrium on imaging tasks: accuracy, memory, time.

    \b
    python -m bench list solvers
    python -m bench run quick --out results/quick
    python -m bench report results/quick
    python -m bench compare results/quick results/reference/quick-cpu
    python -m bench new solver mine

    Results go to standard output, all else to standard error; NO_COLOR is respected. Exit code 2: bad input,
    nothing was written; 1: something failed, or did not agree.
    """


@app.command("list")
def list_(what: Annotated[str, typer.Argument(help="solvers, tasks or profiles")]) -> None:
    """List what there is: solvers (the parts of implicit, and the peers, below them), tasks or profiles.

    \b
    python -m bench list solvers
    """
    table = Table(box=None, pad_edge=False)
    if what == "solvers":
        from solvers import ESTIMATORS, SOLVER_PARTS

        from .config.call_syntax import signature
        from .external import EXTERNAL_SOLVERS

        table.add_column("solver, part of one, or peer")
        table.add_column("what it does")
        solvers = {name: estimator.make for name, estimator in ESTIMATORS.items()}
        for name, make in (*solvers.items(), *SOLVER_PARTS.items(), *EXTERNAL_SOLVERS.items()):
            table.add_row(*_texts(signature(name, make), _first_line(make)))
    elif what == "tasks":
        from .config.call_syntax import signature
        from .operators import PLUG_AND_PLAY_PRIORS
        from .penalties import PRIORS
        from .tasks import ROSTER as TASKS

        table.add_column("task or prior")
        table.add_column("what it is")
        for name, make in (*TASKS.items(), *PRIORS.items(), *PLUG_AND_PLAY_PRIORS.items()):
            table.add_row(*_texts(signature(name, make), _first_line(make)))
    elif what == "profiles":
        from .config.profile_schema import profile_names

        for title in ("profile", "cells", "what it is for"):
            table.add_column(title)
        for name in profile_names():
            table.add_row(*_texts(name, *_counted(name)))
    else:
        raise unknown("list", what, ["solvers", "tasks", "profiles"])
    print_table(table)


def _counted(name: str) -> tuple[str, str]:
    """How many cells a profile has, and what it is for, or what it lacks."""
    from .config.matrix import cells, load_profile

    try:
        profile = load_profile(name)
    except UserError as error:  # a library that one of its solvers is from
        return "–", str(error)
    return str(sum(map(len, cells(profile)))), profile.summary


def _first_line(thing: object) -> str:
    """Of its docstring, of which python -OO leaves nothing."""
    return (thing.__doc__ or "").strip().partition("\n")[0].replace("``", "")


def _texts(*cells: str) -> list[Text]:
    return [Text(cell) for cell in cells]


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="The --out of a run.")],
    bounds: Annotated[
        Path | None,
        typer.Option("--bounds", help="Verdicts for the page: the --out of 'theory_checks verify'."),
    ] = None,
) -> None:
    """Write the tables, the figures and the page of a run again, from its records.

    \b
    python -m bench report results/quick
    python -m bench report results/quick --bounds results/reference/bounds
    """
    from .records.store import Store
    from .report.report import no_page, write_report

    files = write_report(folder, bounds)
    for file in files:
        print(file)  # noqa: T201
    if folder / "index.html" not in files:
        say(no_page(folder), "yellow")
    store = Store(folder)
    manifest = store.manifest()
    if damaged := store.damaged(manifest.cells if manifest else []):
        say(f"{len(damaged)} damaged records are not shown: the run makes them again")
    if stale := store.stale():
        say(f"{len(stale)} records of older code, versions or settings are not shown")


app.add_typer(matrices)
app.add_typer(cells)
app.add_typer(studies)
app.add_typer(exports)
app.add_typer(comparisons)
app.add_typer(new)
app.add_typer(completions)


def entry(arguments: list[str] | None = None) -> int:
    """Run the command. Returns its exit code: 2 with one line on standard error for bad input."""
    return run_command(app, "python -m bench", arguments)


if __name__ == "__main__":
    sys.exit(entry())
