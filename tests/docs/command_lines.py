"""Command lines of pages, and the parsers that read them."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
import typer

from bench.utils.provenance import ROOT

# Typer brings a Click of its own, which it does not export.
UsageError = typer.BadParameter.__base__


def parts(words: list[str]) -> tuple[str, list[str]]:
    """Module and arguments of a ``python -m`` line."""
    at = words.index("-m")
    return words[at + 1], [word for word in words[at + 2 :] if word not in (">", "job.sh")]


def parse(module: str, arguments: list[str]) -> Any:
    """Parse a command line without running it. Return the context of the command that it calls.

    Raises:
        UsageError: the command refuses an option, a value, or the number of arguments.
    """
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
    return command.make_context(None, list(arguments), parent=context)


def check_line(module: str, arguments: list[str]) -> None:
    """Every option of a command line reaches its parameter with its value; another option is refused."""
    context = parse(module, arguments)
    options = {opt: p for p in context.command.params for opt in (*p.opts, *p.secondary_opts)}
    words = iter(arguments)
    for word in words:
        name, equals, value = word.partition("=")
        if name not in options or not name.startswith("-"):
            assert not name.startswith("--"), f"{name} is an option of another command"
            continue
        option = options[name]
        found = context.params[option.name]
        if option.is_flag:
            assert found is (name in option.opts), f"{name} is read as {found}"
        else:
            text = value if equals else next(words)
            values = found if option.multiple else (found,)
            assert any(_says(value, text) for value in values), f"{word} {text} is read as {found}"
    with pytest.raises(UsageError, match=r"(?i)no such option"):
        parse(module, [*arguments, "--no-such-option"])


def _says(value: object, text: str) -> bool:
    """Whether an option's value is that of its text: a number, a path, a choice or the text."""
    if isinstance(value, int | float):
        return float(text) == value
    return str(getattr(value, "value", value)) == text
