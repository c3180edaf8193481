"""The command ``list``."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from ..utils.console import print_table
from ..utils.errors import UserError


class ListedKind(StrEnum):
    """Names that can be listed."""

    solvers = "solvers"
    tasks = "tasks"
    operators = "operators"
    profiles = "profiles"


TITLES = {
    ListedKind.solvers: ("solver, part of implicit, or solver of another library", "what it does"),
    ListedKind.tasks: ("task or prior", "what it is"),
    ListedKind.operators: ("operator", "what it does"),
    ListedKind.profiles: ("profile", "cells", "what it is for"),
}


def list_(
    kind: Annotated[ListedKind, typer.Argument(help="solvers, tasks, operators or profiles", metavar="KIND")],
) -> None:
    """List solvers, tasks, operators or profiles.

    \b
    python -m bench list solvers
    """
    table = Table(*TITLES[kind], box=None, pad_edge=False)
    for row in _profiles() if kind is ListedKind.profiles else _calls(kind):
        table.add_row(*map(Text, row))  # Text: a bracket is no markup
    print_table(table)


def _calls(kind: ListedKind) -> Iterator[tuple[str, str]]:
    """Signature and summary of solvers, tasks or operators."""
    from solvers import SOLVER_PARTS

    from ..config.call_syntax import signature
    from ..config.lookup import SOLVERS, TASK_ARGUMENTS
    from ..operators import SPLITTINGS
    from ..tasks import ROSTER as TASKS

    calls = {
        ListedKind.solvers: {**SOLVERS, **SOLVER_PARTS},
        ListedKind.tasks: {**TASKS, **TASK_ARGUMENTS},
        ListedKind.operators: SPLITTINGS,
    }[kind]
    for name, make in calls.items():
        # python -OO leaves no docstring.
        yield signature(name, make), (make.__doc__ or "").strip().partition("\n")[0].replace("``", "")


def _profiles() -> Iterator[tuple[str, str, str]]:
    """Name, number of cells and summary of profiles; an error if a library of one of its solvers is missing."""
    from ..config.matrix import cells, load_profile
    from ..config.profile_schema import profile_names

    for name in profile_names():
        try:
            profile = load_profile(name)
        except UserError as error:
            yield name, "–", str(error)
        else:
            yield name, str(sum(map(len, cells(profile)))), profile.summary
