"""Shared parts of the commands: exit codes, errors in one line, and tables on a terminal."""

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

from .. import IMPORTED_FROM, INSTALLED
from .atomic_files import Unwritable
from .errors import UserError
from .terminal import PIPE_CLOSED, discard_stdout, replace_unencodable

if TYPE_CHECKING:
    import pandas as pd

console = Console(stderr=True)
"""Messages go to standard error; standard output is for data."""
DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG})
"""Reported as "make room": the disk is full or read-only."""
BAD_PATH = frozenset(
    {errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.EACCES, errno.EPERM, errno.ELOOP, errno.EINVAL}
)
"""Reported as "choose another path"."""
INTERRUPTED = 130
"""Exit code after Ctrl-C; typer's own too."""
ENVIRONMENT = "tox devenv -e dev .venv"
"""The command of the README that installs everything."""


EXTRA = "eqgrad[checks]"
"""What has everything where eqgrad is installed as a wheel, but other libraries and clusters."""


def say(line: str, style: str | None = None) -> None:
    """Print a line on standard error; square brackets in it are no markup."""
    console.print(line, style=style, highlight=False, markup=False, soft_wrap=True)


@contextmanager
def _sigterm_as_interrupt() -> Generator[list[int]]:
    """Turn SIGTERM into ``KeyboardInterrupt`` and list it. Does nothing outside the main thread."""
    signals: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield signals
        return

    def stop(number: int, _: object) -> None:
        signals.append(number)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield signals
    finally:
        signal.signal(signal.SIGTERM, before)


def run_command(app: typer.Typer, name: str, arguments: list[str] | None) -> int:
    """Run a command and return its exit code.

    The code is 2, with one line on standard error, for bad input; 1 if the disk is full or cells failed; 130 after
    Ctrl-C and 143 after SIGTERM. ``name`` is the command as users type it, ``python -m bench``.
    """
    signals: list[int] = []
    replace_unencodable()
    try:
        _check_working_directory()
        with _sigterm_as_interrupt() as signals:
            code = app(
                args=arguments, prog_name=name, complete_var=completion_variable(name), standalone_mode=False
            )
            if sys.stdout is not None:
                sys.stdout.flush()  # raises BrokenPipeError here rather than at exit
    except UserError as error:
        return _refuse(str(error))
    except Unwritable as error:
        return _refuse(str(error.strerror), 1)
    except typer.TyperException as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            print(error.format_message())  # noqa: T201
            return 2
        return _refuse(f"{' '.join(error.format_message().split())} ({name} --help lists the commands)")
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if not missing or (IMPORTED_FROM / missing).exists():
            raise
        return _refuse(
            f"{name} needs {missing}, which is not installed: "
            + (
                f"pip install '{EXTRA}'"
                if INSTALLED
                else f"{ENVIRONMENT} makes an environment with everything"
            )
        )
    except BrokenPipeError:
        discard_stdout()
        return PIPE_CLOSED
    except OSError as error:
        if error.errno in BAD_PATH and error.filename is not None:
            return _refuse(f"{os.fspath(error.filename)}: {error.strerror}: choose another path")
        if error.errno not in DISK_FULL:
            raise
        place = error.filename or "the disk"
        return _refuse(f"{place}: {error.strerror}: make room and run the same command again", 1)
    except SystemExit as error:
        # Raised by typer after a completion, by rich if the pipe is closed, or by a user's file.
        if isinstance(error.__context__, BrokenPipeError):
            discard_stdout()
            return PIPE_CLOSED
        if completion_variable(name) in os.environ:
            return error.code if isinstance(error.code, int) else 0
        return _refuse(f"sys.exit({error.code!r}) was called: a user's file may not end the command")
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    if code == INTERRUPTED:
        print("Stopped. Finished cells are stored; run the same command again to resume.", file=sys.stderr)  # noqa: T201
        return 128 + signal.SIGTERM if signals else INTERRUPTED
    return code if isinstance(code, int) else 0


def _refuse(line: str, code: int = 2) -> int:
    print(f"error: {line}", file=sys.stderr)  # noqa: T201
    return code


def _check_working_directory() -> None:
    try:
        Path.cwd()
    except OSError as error:  # relative paths would fail later, in less clear words
        raise UserError("the working directory is gone: cd to a folder that exists") from error


def print_frame(frame: pd.DataFrame, title: str) -> None:
    """Print a table on standard output, as wide as the terminal."""
    # Cells are ``Text``, so that square brackets in them are no markup.
    table = Table(title=Text(title) if title else None, box=None, pad_edge=False, title_justify="left")
    for column in frame.columns:
        table.add_column(Text(str(column)), overflow="fold")
    for row in frame.itertuples(index=False):
        table.add_row(*(Text(str(cell)) for cell in row))
    print_table(table)


def print_table(table: Table) -> None:
    """Print a rich table on standard output, as wide as the terminal, or 160 letters elsewhere."""
    is_terminal = sys.stdout is not None and sys.stdout.isatty()
    Console(width=None if is_terminal else 160).print(table)


def completion_variable(command: str) -> str:
    """The environment variable by which a shell asks a command to complete a word: ``_BENCH_COMPLETE``."""
    variable = f"_{program_name(command).upper()}_COMPLETE"
    if variable in os.environ:
        # typer only does so for apps with its own completion options, which write to a user's files.
        completion_init()
    return variable


def program_name(command: str) -> str:
    """The module of a command as one word: ``bench`` for ``python -m bench``."""
    return command.split()[-1].replace(".", "_")
