"""What the commands share: exit codes, one-line errors, and tables on a terminal."""

from __future__ import annotations

import errno
import signal
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from .completion import variable
from .errors import UserError
from .files import Unwritable

if TYPE_CHECKING:
    import pandas as pd

console = Console(stderr=True)
"""Everything for people goes to standard error; standard output is for data."""
DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG})
"""What a disk that is full, or may only be read, answers to those who do not ask by way of ``files``."""
STOPPED = 130


@contextmanager
def _terminable() -> Generator[list[int]]:
    """SIGTERM is Ctrl-C in here, and the list says so; only the main thread may ask for that."""
    terminated: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield terminated
        return

    def stop(number: int, _: object) -> None:
        terminated.append(number)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield terminated
    finally:
        signal.signal(signal.SIGTERM, before)


def call(app: typer.Typer, name: str, arguments: list[str] | None) -> int:
    """Run a command. Returns its exit code: 2 with one line on standard error for bad input.

    It is 1 where the disk is full, or cells failed; 130 after Ctrl-C and 143 after SIGTERM.

    Args:
        app: the command.
        name: as a user types it, ``python -m bench``.
        arguments: in place of those of the process.
    """
    terminated: list[int] = []
    try:
        with _terminable() as terminated:
            code = app(args=arguments, prog_name=name, complete_var=variable(name), standalone_mode=False)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 2
    except Unwritable as error:
        print(f"error: {error.strerror}", file=sys.stderr)  # noqa: T201
        return 1
    except typer.TyperException as error:
        line = " ".join(error.format_message().split())
        print(f"error: {line} ({name} --help lists the commands)", file=sys.stderr)  # noqa: T201
        return 2
    except OSError as error:
        if error.errno not in DISK:
            raise
        where = error.filename or "the disk"
        print(f"error: {where}: {error.strerror}: make room, and run the same line again", file=sys.stderr)  # noqa: T201
        return 1
    except (KeyboardInterrupt, typer.Abort):
        code = STOPPED
    if code == STOPPED:  # typer's own for KeyboardInterrupt
        print("stopped; what was finished is stored, and the same line goes on from there", file=sys.stderr)  # noqa: T201
        return 128 + signal.SIGTERM if terminated else STOPPED
    return code if isinstance(code, int) else 0


def print_frame(frame: pd.DataFrame, title: str) -> None:
    """Print a table on standard output, as wide as the terminal."""
    table = Table(title=title or None, box=None, pad_edge=False, title_justify="left")
    for column in frame.columns:
        table.add_column(str(column), overflow="fold")
    for row in frame.itertuples(index=False):
        table.add_row(*(Text(str(cell)) for cell in row))  # as text: a bracket in it is no markup
    Console(width=None if sys.stdout.isatty() else 160).print(table)
