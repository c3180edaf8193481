"""The program ``eqgrad``, which also says what to install where there is only the library."""

from __future__ import annotations

import sys


def entry(arguments: list[str] | None = None) -> int:
    """Run the command. Returns its exit code: 2, with one line on standard error, for bad input."""
    try:
        from bench.utils.console import run_command

        from .all_commands import app
    except ModuleNotFoundError as error:
        # The library alone needs torch and no more.
        line = f"error: eqgrad needs {error.name}, which is not installed: pip install 'eqgrad[bench]'"
        print(line, file=sys.stderr)  # noqa: T201
        return 2
    return run_command(app, "eqgrad", arguments)
