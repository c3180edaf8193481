"""The command ``new``."""

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

from .. import INSTALLED, ROOT
from ..utils.console import say
from ..utils.errors import UserError

TEMPLATES = Path(__file__).parent / "templates"
PATH = "" if INSTALLED else f"PYTHONPATH={shlex.quote(str(ROOT))} "
NAME = re.compile(r"[a-z][a-z0-9_]{0,40}")


class TemplateKind(StrEnum):
    """Kinds of template."""

    solver = "solver"
    task = "task"
    operator = "operator"


EXAMPLES = {
    TemplateKind.solver: ("(10)", "--task 'deblurring(huber)' --solver '{call}'"),
    TemplateKind.task: ("(every=3)", "--task '{call}' --solver 'deq(0.001)'"),
    TemplateKind.operator: ("(0.1)", "--task 'deblurring({call})' --solver 'deq(0.001)'"),
}
"""Arguments of the template's factory, and options of ``cell`` that call it."""
CLASSES = {TemplateKind.solver: "ForwardSolver", TemplateKind.task: "Physics", TemplateKind.operator: "Step"}
"""End of the class name, which keeps it apart from every name that a template imports."""


def new(
    kind: Annotated[TemplateKind, typer.Argument(help="solver, task or operator", metavar="KIND")],
    name: Annotated[str, typer.Argument(help="Name in calls and of the file, e.g. broyden.", metavar="NAME")],
    into: Annotated[
        Path, typer.Option(help="Folder; the current one by default.", metavar="FOLDER")
    ] = Path(),
) -> None:
    """Write a template to start from, and its test.

    NAME.py works as it is; test_NAME.py holds the checks that it has to pass.

    \b
    python -m bench new solver mine
    python -m bench new task mine --into my_project
    """
    file, test = write_templates(kind, name, into)
    path = str(file) if file.is_absolute() or str(file).startswith(".") else f"./{file}"
    print(file)  # noqa: T201
    print(test)  # noqa: T201
    arguments, options = EXAMPLES[kind]
    call = f"{path}:{name}{arguments}"
    lines = (
        f"python -m bench cell {options.format(call=call)}",
        f"python -m theory_checks check '{call}'",
        f"cd {shlex.quote(str(into))} && {PATH}pytest {test.name}",
    )
    for line in lines:
        say(f"try: {line}")


def write_templates(kind: TemplateKind, name: str, into: Path) -> tuple[Path, Path]:
    """Write a template and its test into a folder. Returns both files.

    Raises:
        UserError: the name cannot be used, there is no such folder, or one of the files exists.
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
    class_name = "".join(word.capitalize() for word in name.split("_")) + CLASSES[kind]
    for file, template in zip(files, (f"{kind.value}.py.txt", f"test_{kind.value}.py.txt"), strict=True):
        text = (TEMPLATES / template).read_text(encoding="utf-8")
        try:
            with file.open("x", encoding="utf-8") as stream:
                stream.write(text.replace("NAME", name).replace("KLASS", class_name))
        except OSError as error:
            raise UserError(f"cannot write {file}: {error.strerror}") from error
    return files


def check_name(name: str) -> None:
    """Raise ``UserError`` for a name that is no lower-case identifier, or is a built-in name."""
    from solvers import SOLVER_PARTS

    from ..config.lookup import SOLVERS, TASK_ARGUMENTS
    from ..tasks import ROSTER as TASKS

    if not NAME.fullmatch(name) or keyword.iskeyword(name):
        raise UserError(f"{name!r} is no name for it: take lower-case letters, digits and _, e.g. my_solver")
    for names, kind in (
        (SOLVERS, "solver"),
        (SOLVER_PARTS, "part of a solver"),
        (TASKS, "task"),
        (TASK_ARGUMENTS, "prior"),
    ):
        if name in names:
            raise UserError(f"the project has a {kind} called {name}: choose another name")
