"""The command ``new``: a file of one's own to start from, and the test that it has to pass."""

from __future__ import annotations

import importlib.util
import keyword
import re
import shlex
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from .. import ROOT
from ..utils.console import say
from ..utils.errors import UserError

TEMPLATES = Path(__file__).parent / "templates"
NAME = re.compile(r"[a-z][a-z0-9_]{0,40}")

app = typer.Typer(rich_markup_mode=None)


class Kind(StrEnum):
    """What can be added."""

    solver = "solver"
    task = "task"
    operator = "operator"


EXAMPLES = {
    Kind.solver: ("(10)", "--task 'deblurring(huber)' --solver '{call}'"),
    Kind.task: ("(every=3)", "--task '{call}' --solver 'deq(0.001)'"),
    Kind.operator: ("(0.1)", "--task 'deblurring({call})' --solver 'deq(0.001)'"),
}
"""Arguments that the factory of the template takes, and where a call of it stands."""
CLASSES = {Kind.solver: "Reach", Kind.task: "Physics", Kind.operator: "Step"}
"""How the name of a class ends, so that it is none of those that a template imports."""


@app.command()
def new(
    kind: Annotated[Kind, typer.Argument(help="solver, task or operator")],
    name: Annotated[str, typer.Argument(help="What it will be called, e.g. broyden.")],
    into: Annotated[Path, typer.Option("--into", help="A folder; by default this one.")] = Path(),
) -> None:
    """Write NAME.py, a commented template that works as it is, and its test test_NAME.py.

    \b
    python -m bench new solver mine
    python -m bench new task mine --into my_project
    """
    file, test = write_templates(kind, name, into)
    path = str(file) if file.is_absolute() or str(file).startswith(".") else f"./{file}"
    print(file)  # noqa: T201
    print(test)  # noqa: T201
    given, options = EXAMPLES[kind]
    call = f"{path}:{name}{given}"
    lines = (
        f"python -m bench cell {options.format(call=call)}",
        f"python -m theory_checks check '{call}'",
        f"cd {shlex.quote(str(into))} && PYTHONPATH={shlex.quote(str(ROOT))} pytest {test.name}",
    )
    for line in lines:
        say(f"try: {line}")


def write_templates(kind: Kind, name: str, into: Path) -> tuple[Path, Path]:
    """Write the two files.

    Args:
        kind: of template.
        name: of the factory and of the file.
        into: the folder.

    Returns:
        The file and its test.

    Raises:
        UserError: the name cannot be taken, there is no such folder, or a file of that name is there.
    """
    files = into / f"{name}.py", into / f"test_{name}.py"
    check_name(name)
    if not into.is_dir():
        raise UserError(f"--into {into} is no folder: make it first")
    for file in files:
        if file.exists():
            raise UserError(f"{file} is there already: choose another name, or --into another folder")
    if name in sys.stdlib_module_names or importlib.util.find_spec(name) is not None:
        raise UserError(f"{name}.py would hide the Python module {name}: choose another name")
    words = {
        "NAME": name,
        "KLASS": "".join(word.capitalize() for word in name.split("_")) + CLASSES[kind],
    }
    for file, template in zip(files, (f"{kind.value}.py.txt", f"test_{kind.value}.py.txt"), strict=True):
        text = (TEMPLATES / template).read_text(encoding="utf-8")
        text = re.sub("|".join(words), lambda found: words[found[0]], text)
        try:
            with file.open("x", encoding="utf-8") as new:
                new.write(text)
        except OSError as error:
            raise UserError(f"cannot write {file}: {error.strerror}") from error
    return files


def check_name(name: str) -> None:
    """Raise ``UserError`` for what is no lower-case identifier, or stands in a roster."""
    from solvers import SOLVER_PARTS

    from ..config.lookup import SOLVERS
    from ..operators import PLUG_AND_PLAY_PRIORS
    from ..penalties import PRIORS
    from ..tasks import ROSTER as TASKS

    if not NAME.fullmatch(name) or keyword.iskeyword(name):
        raise UserError(f"{name!r} is no name for it: take lower-case letters, digits and _, e.g. my_solver")
    for roster, kind in (
        (SOLVERS, "solver"),
        (SOLVER_PARTS, "part of a solver"),
        (TASKS, "task"),
        (PRIORS | PLUG_AND_PLAY_PRIORS, "prior"),
    ):
        if name in roster:
            raise UserError(f"the project has a {kind} called {name}: choose another name")
