"""What the commands share: exit codes, one-line errors, and tables on a terminal."""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text
from typer.completion import completion_init  # pyright: ignore[reportPrivateImportUsage]

from .. import ROOT
from .atomic_files import Unwritable
from .errors import UserError
from .terminal import PIPE_CLOSED, abandon, flush, spell, width

if TYPE_CHECKING:
    import pandas as pd

console = Console(stderr=True)
"""Everything for people goes to standard error; standard output is for data."""
DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG})
"""What a disk that is full, or may only be read, answers to those who do not ask by way of ``files``."""
STOPPED = 130
ENVIRONMENT = "tox devenv -e dev .venv"
"""What README says for it."""
PATHS = frozenset(
    {errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.EACCES, errno.EPERM, errno.ELOOP, errno.EINVAL}
)
"""What the system answers to a path that cannot be."""


def say(line: str, style: str | None = None) -> None:
    """Tell people a line, on standard error; brackets in it are brackets."""
    console.print(line, style=style, highlight=False, markup=False, soft_wrap=True)


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


def run_command(app: typer.Typer, name: str, arguments: list[str] | None) -> int:
    """Run a command. Returns its exit code: 2 with one line on standard error for bad input.

    It is 1 where the disk is full, or cells failed; 130 after Ctrl-C and 143 after SIGTERM.

    Args:
        app: the command.
        name: as a user types it, ``python -m bench``.
        arguments: in place of those of the process.
    """
    terminated: list[int] = []
    spell()
    try:
        _look_around()
        with _terminable() as terminated:
            code = app(args=arguments, prog_name=name, complete_var=variable(name), standalone_mode=False)
            flush()
    except UserError as error:
        return _refused(f"error: {error}")
    except Unwritable as error:
        return _refused(f"error: {error.strerror}", 1)
    except typer.TyperException as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            print(error.format_message())  # noqa: T201
            return 2
        line = " ".join(error.format_message().split())
        return _refused(f"error: {line} ({name} --help lists the commands)")
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if not missing or (ROOT / missing).exists():
            raise
        return _refused(
            f"error: {name} needs {missing}, which is not installed: {ENVIRONMENT} makes an environment with everything"
        )
    except BrokenPipeError:
        abandon()
        return PIPE_CLOSED
    except OSError as error:
        if error.errno in PATHS and error.filename is not None:
            return _refused(f"error: {os.fspath(error.filename)}: {error.strerror}: choose another path")
        if error.errno not in DISK:
            raise
        where = error.filename or "the disk"
        return _refused(f"error: {where}: {error.strerror}: make room, and run the same line again", 1)
    except SystemExit as error:
        # typer ends so once it has told a shell its words, rich where the pipe is closed; a user's own file may.
        if isinstance(error.__context__, BrokenPipeError):
            abandon()
            return PIPE_CLOSED
        if variable(name) in os.environ:
            return error.code if isinstance(error.code, int) else 0
        return _refused(
            f"error: something called sys.exit({error.code!r}): no file of your own may end the command"
        )
    except (KeyboardInterrupt, typer.Abort):
        code = STOPPED
    if code == STOPPED:  # typer's own for KeyboardInterrupt
        print("stopped; what was finished is stored, and the same line goes on from there", file=sys.stderr)  # noqa: T201
        return 128 + signal.SIGTERM if terminated else STOPPED
    return code if isinstance(code, int) else 0


def _refused(line: str, code: int = 2) -> int:
    print(line, file=sys.stderr)  # noqa: T201
    return code


def _look_around() -> None:
    """Raise ``UserError`` where the working directory is gone: every path hangs on it."""
    try:
        Path.cwd()
    except OSError as error:
        raise UserError("the working directory is gone: cd to a folder that exists") from error


def print_frame(frame: pd.DataFrame, title: str) -> None:
    """Print a table on standard output, as wide as the terminal."""
    print_table(_table(frame, title))


def print_table(table: Table) -> None:
    """The same of a table whose cells are texts already."""
    Console(width=width(sys.stdout)).print(table)


def _table(frame: pd.DataFrame, title: str) -> Table:
    # As text throughout: a bracket in it is no markup.
    table = Table(title=Text(title) if title else None, box=None, pad_edge=False, title_justify="left")
    for column in frame.columns:
        table.add_column(Text(str(column)), overflow="fold")
    for row in frame.itertuples(index=False):
        table.add_row(*(Text(str(cell)) for cell in row))
    return table


def variable(command: str) -> str:
    """The environment variable by which a shell asks ``python -m bench`` for words: ``_BENCH_COMPLETE``."""
    found = f"_{_name(command).upper()}_COMPLETE"
    if found in os.environ:
        # typer does so for apps with its own options of completion, which write into a user's files.
        completion_init()
    return found


def _name(command: str) -> str:
    return command.split()[-1].replace(".", "_")
