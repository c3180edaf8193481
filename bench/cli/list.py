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
    spectra = "spectra"


TITLES = {
    ListedKind.solvers: ("solver, part of implicit, or solver of another library", "what it does"),
    ListedKind.tasks: ("task or prior", "what it is"),
    ListedKind.operators: ("operator", "what it does"),
    ListedKind.spectra: ("task", "measurements", "eigenvalues of AᵀA", "basis", "‖A‖² is at least"),
    ListedKind.profiles: ("profile", "cells", "what it is for"),
}


def list_(
    kind: Annotated[
        ListedKind, typer.Argument(help="solvers, tasks, operators, profiles or spectra", metavar="KIND")
    ],
) -> None:
    """List solvers, tasks, operators, profiles, or spectra: bounds on AᵀA of every task, on images of 64×64.

    \b
    python -m bench list solvers
    """
    table = Table(*TITLES[kind], box=None, pad_edge=False)
    rows = {ListedKind.profiles: _profiles, ListedKind.spectra: _spectra}
    for row in rows[kind]() if kind in rows else _calls(kind):
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


def _spectra() -> Iterator[tuple[str, str, str, str, str]]:
    """Of every task: the shape of its measurements, the bounds on the eigenvalues of ``AᵀA``, and their basis."""
    import torch

    from ..spectra import spectrum_of
    from ..tasks import ROSTER as TASKS
    from ..utils.random_streams import stream

    for name, make in TASKS.items():
        shape = make().shape(64)
        physics = make().physics(shape, stream(0, "masks"), torch.float64, torch.device("cpu"))
        measured = "×".join(
            str(side) for side in physics.A(torch.zeros(1, *shape, dtype=torch.float64)).shape[1:]
        )
        known = spectrum_of(physics, shape)
        attained = "" if known.attained is None else f"{known.attained:.6g}"
        yield name, measured, f"[{known.smallest:.3g}, {known.largest:.6g}]", known.basis.value, attained
