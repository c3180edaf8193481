"""The commands of ``python -m bench`` and of ``python -m theory_checks`` in one, as an installed eqgrad has them."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import typer

from bench import __main__ as benchmark
from solvers import __version__

from . import __main__ as checks

app = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode=None)
for part in (benchmark.app, checks.app):
    # `docs` writes pages of the checkout.
    app.registered_commands += [c for c in part.registered_commands if c.callback is not checks.docs]


def say_version(asked: bool) -> None:
    """Print the versions of eqgrad and of torch, and end."""
    if asked:
        print(f"eqgrad {__version__}, torch {version('torch')}")  # noqa: T201
        raise typer.Exit


VERSION = typer.Option("--version", callback=say_version, is_eager=True, help="Print the version.")


@app.callback()
def main(version: Annotated[bool, VERSION] = False) -> None:
    """Gradients at equilibrium: compare estimators on imaging tasks, bound their errors, check the theory.

    \b
    eqgrad list solvers
    eqgrad run quick --out results/quick
    eqgrad certify --task 'deblurring(huber)' --solver 'restarted_jfb(10, 10)'
    eqgrad new solver mine
    eqgrad check './mine.py:mine(10)'
    eqgrad verify --claims C4,C6

    Results go to standard output, all else to standard error; NO_COLOR is respected. Exit code 2: bad input,
    nothing was written; 1: something failed, or did not agree.
    """
