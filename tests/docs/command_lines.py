"""Command lines of pages, and the parsers that read them."""

from __future__ import annotations

import importlib
from pathlib import Path

import typer

from bench.utils.provenance import ROOT


def parts(words: list[str]) -> tuple[str, list[str]]:
    """Module and arguments of a ``python -m`` line."""
    at = words.index("-m")
    return words[at + 1], [word for word in words[at + 2 :] if word not in (">", "job.sh")]


def reads(module: str, arguments: list[str]) -> None:
    """The parser of a command takes these arguments. Raises typer's error where it does not."""
    package = importlib.import_module(
        f"{module}.__main__" if Path(ROOT, *module.split(".")).is_dir() else module
    )
    context, command = None, typer.main.get_command(package.app)
    while hasattr(command, "resolve_command"):
        context = command.make_context(None, list(arguments), parent=context)
        title, command, arguments = command.resolve_command(
            context, [*context._protected_args, *context.args]
        )
        assert command is not None, title
    command.make_context(None, list(arguments), parent=context)
