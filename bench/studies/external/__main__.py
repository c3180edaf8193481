"""The command ``python -m bench.studies.external``."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from ...utils.console import run_command

app = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def main() -> None:
    """Measure other libraries at equilibrium, and print tables in Markdown.

    \b
    python -m bench.studies.external traps
    python -m bench.studies.external search
    python -m bench.studies.external step "deepinv_deq(100, 50)" "deq(1e-6)"
    """


@app.command()
def traps() -> None:
    """Measure every known issue again, those of torchopt and silva-networks if installed (half a minute)."""
    from .issues_table import markdown, measure_issues

    print(markdown(measure_issues()))  # noqa: T201


@app.command()
def search() -> None:
    """Find the cheapest budgets of every setting for errors of 10 %, 1 % and 0.1 % (half an hour)."""
    from .budget_search import cheapest_table

    for line in cheapest_table():
        print(line, flush=True)  # noqa: T201


@app.command()
def step(
    calls: Annotated[list[str], typer.Argument(help="Our solvers, and other libraries'.")],
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Steps whose median time is shown.")] = 3,
) -> None:
    """Take one training step with each call: its applications, products, error and duration."""
    from .budget_search import step_table

    for line in step_table(calls, rounds):
        print(line, flush=True)  # noqa: T201


def entry(arguments: list[str] | None = None) -> int:
    """Run the command. Returns its exit code: 2 with one line on standard error for bad input."""
    return run_command(app, "python -m bench.studies.external", arguments)


if __name__ == "__main__":
    sys.exit(entry())
