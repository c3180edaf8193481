"""Completion of ``python -m bench`` in a shell, under the name of a function that the script defines."""

# typer exports what it uses itself, but does not say so to type checkers.
# pyright: reportPrivateImportUsage=false

from __future__ import annotations

from typing import Annotated

import typer
from typer.completion import (
    get_completion_script,
)

from ..utils.console import completion_variable, program_name
from ..utils.errors import unknown

completions = typer.Typer()
FUNCTIONS = {
    "bash": '{name} () {{ {command} "$@"; }}',
    "zsh": '{name} () {{ {command} "$@"; }}',
    "fish": "function {name}; {command} $argv; end",
}
CALLS = {"bash": "$1 )", "zsh": "{name})", "fish": "-cp) {name}"}
"""How typer's script of a shell calls the program, which has a name of one word there."""


def completion_script(shell: str, command: str) -> str:
    """What a shell should read: a function that runs ``command``, and the completion of its arguments.

    Args:
        shell: bash, zsh or fish.
        command: ``python -m bench``; the function has the module's name.

    Raises:
        UserError: another shell.
    """
    if shell not in FUNCTIONS:
        raise unknown("shell", shell, list(FUNCTIONS))
    name = program_name(command)
    made = get_completion_script(prog_name=name, complete_var=completion_variable(command), shell=shell)
    call = CALLS[shell].format(name=name)
    asks = call.replace("$1" if shell == "bash" else name, command)
    return f"{FUNCTIONS[shell].format(name=name, command=command)}\n{made.replace(call, asks)}\n"


@completions.command()
def completion(shell: Annotated[str, typer.Argument(help="bash, zsh or fish")]) -> None:
    """Print what makes a shell complete commands and options, of a function 'bench' that runs python -m bench.

    \b
    eval "$(python -m bench completion bash)"        # in ~/.bashrc; then: bench run <Tab>
    python -m bench completion fish | source
    """
    print(completion_script(shell, "python -m bench"))  # noqa: T201
