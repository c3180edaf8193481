"""What the commands share: exit codes, one-line errors, and tables on a terminal."""

from __future__ import annotations

import sys

import pandas as pd
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from .errors import UserError

console = Console(stderr=True)
"""Everything for people goes to standard error; standard output is for data."""


def call(app: typer.Typer, name: str, arguments: list[str] | None) -> int:
    """Run a command. Returns its exit code: 2 with one line on standard error for bad input.

    Args:
        app: the command.
        name: as a user types it, ``python -m bench``.
        arguments: in place of those of the process.
    """
    try:
        code = app(args=arguments, prog_name=name, standalone_mode=False)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 2
    except typer.TyperException as error:
        line = " ".join(error.format_message().split())
        print(f"error: {line} ({name} --help lists the commands)", file=sys.stderr)  # noqa: T201
        return 2
    except (KeyboardInterrupt, typer.Abort):
        print("stopped; what was finished is stored, and the same line goes on from there", file=sys.stderr)  # noqa: T201
        return 130
    return code if isinstance(code, int) else 0


def print_frame(frame: pd.DataFrame, title: str) -> None:
    """Print a table on standard output, as wide as the terminal."""
    table = Table(title=title or None, box=None, pad_edge=False, title_justify="left")
    for column in frame.columns:
        table.add_column(str(column), overflow="fold")
    for row in frame.itertuples(index=False):
        table.add_row(*(Text(str(cell)) for cell in row))  # as text: a bracket in it is no markup
    Console(width=None if sys.stdout.isatty() else 160).print(table)
