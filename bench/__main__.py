"""The command ``python -m bench``."""

from __future__ import annotations

import sys

import typer

from .cli.advise import advise
from .cli.cell import cell
from .cli.certificates import certificates
from .cli.certify import certify
from .cli.compare import compare
from .cli.completion import completion
from .cli.export import export
from .cli.largest import largest
from .cli.leaderboard import leaderboard
from .cli.learning import learning
from .cli.list import list_
from .cli.new import new
from .cli.plan import plan
from .cli.published import published
from .cli.report import report
from .cli.run import run
from .cli.slurm import slurm
from .cli.trajectory import trajectory
from .utils.console import run_command

app = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def main() -> None:
    """Compare gradient estimators at equilibrium on imaging tasks: accuracy, memory, time.

    \b
    python -m bench list solvers
    python -m bench run quick --out results/quick
    python -m bench advise results/quick
    python -m bench report results/quick
    python -m bench compare results/quick results/reference/quick-cpu
    python -m bench new solver mine

    Results go to standard output, all else to standard error; NO_COLOR is respected. Exit code 2: bad input,
    nothing was written; 1: something failed, or did not agree.
    """


app.command("list")(list_)
for command in (run, advise, leaderboard, report, compare, cell, plan, slurm, export, new):
    app.command()(command)
for study in (certify, certificates, trajectory, learning, published, largest):
    app.command()(study)
app.command()(completion)


def entry(arguments: list[str] | None = None) -> int:
    """Run the command. Returns its exit code: 2, with one line on standard error, for bad input."""
    return run_command(app, "python -m bench", arguments)


if __name__ == "__main__":
    sys.exit(entry())
