"""The command ``list``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from ..utils.console import print_table
from ..utils.errors import UserError, unknown


def list_(what: Annotated[str, typer.Argument(help="solvers, tasks or profiles")]) -> None:
    """List solvers, tasks or profiles.

    \b
    python -m bench list solvers
    """
    if what == "solvers":
        from solvers import ESTIMATORS, SOLVER_PARTS

        from ..external import EXTERNAL_SOLVERS

        estimators = {name: estimator.make for name, estimator in ESTIMATORS.items()}
        calls = {**estimators, **SOLVER_PARTS, **EXTERNAL_SOLVERS}
        table = _table("solver, part of implicit, or solver of another library", "what it does")
        _add_calls(table, calls)
    elif what == "tasks":
        from ..operators import PLUG_AND_PLAY_PRIORS
        from ..penalties import PRIORS
        from ..tasks import ROSTER as TASKS

        table = _table("task or prior", "what it is")
        _add_calls(table, {**TASKS, **PRIORS, **PLUG_AND_PLAY_PRIORS})
    elif what == "profiles":
        from ..config.profile_schema import profile_names

        table = _table("profile", "cells", "what it is for")
        for name in profile_names():
            table.add_row(*map(Text, (name, *_cells_and_summary(name))))
    else:
        raise unknown("list", what, ["solvers", "tasks", "profiles"])
    print_table(table)


def _table(*titles: str) -> Table:
    return Table(*titles, box=None, pad_edge=False)


def _add_calls(table: Table, calls: Mapping[str, Callable[..., object]]) -> None:
    from ..config.call_syntax import signature

    for name, make in calls.items():
        # python -OO leaves no docstring.
        summary = (make.__doc__ or "").strip().partition("\n")[0].replace("``", "")
        # As Text, since a bracket in it is no markup.
        table.add_row(Text(signature(name, make)), Text(summary))


def _cells_and_summary(name: str) -> tuple[str, str]:
    """Number of cells and summary of a profile; if a library of one of its solvers is missing, the error."""
    from ..config.matrix import cells, load_profile

    try:
        profile = load_profile(name)
    except UserError as error:
        return "–", str(error)
    return str(sum(map(len, cells(profile)))), profile.summary
