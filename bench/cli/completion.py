"""The command ``completion``."""

# typer does not declare its completion as public.
# pyright: reportPrivateImportUsage=false

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer
from typer.completion import get_completion_script

from ..utils.console import completion_variable, program_name

COMMAND = "python -m bench"
NAME = program_name(COMMAND)


class Shell(StrEnum):
    """Shells that can complete a function."""

    bash = "bash"
    zsh = "zsh"
    fish = "fish"


def completion_script(shell: Shell) -> str:
    """A shell function ``bench`` that runs ``python -m bench``, and the completion of its arguments."""
    script = get_completion_script(prog_name=NAME, complete_var=completion_variable(COMMAND), shell=shell)
    if NAME == COMMAND:  # installed as a program
        return script
    # Typer's scripts call the program by env, which finds no functions.
    call = {Shell.bash: "$1 )", Shell.zsh: f"{NAME})", Shell.fish: f"-cp) {NAME}"}[shell]
    script = script.replace(call, call.replace("$1" if shell is Shell.bash else NAME, COMMAND))
    function = (
        f"function {NAME}; {COMMAND} $argv; end"
        if shell is Shell.fish
        else f'{NAME} () {{ {COMMAND} "$@"; }}'
    )
    return f"{function}\n{script}\n"


def completion(shell: Annotated[Shell, typer.Argument(help="bash, zsh or fish", metavar="SHELL")]) -> None:
    """Print a shell function bench that completes its arguments.

    The function runs python -m bench.

    \b
    eval "$(python -m bench completion bash)"        # in ~/.bashrc; then: bench run <Tab>
    python -m bench completion fish | source
    """
    print(completion_script(shell))  # noqa: T201
