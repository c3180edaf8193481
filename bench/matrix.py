"""Profiles: which tasks, solvers, depths and seeds, read from TOML."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from solvers import ROSTER, Solver

from .calls import parse
from .errors import UserError, unknown
from .images import Layout
from .operators import PRIORS
from .tasks import ROSTER as TASKS
from .tasks import Task

FOLDER = Path(__file__).parent / "profiles"
Choice = TypeVar("Choice", Task, Solver)
Count = Annotated[int, Field(ge=1, le=1_000_000)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ImagesTable(_Table):
    """Crops: their side in pixels, how many to train and to test on."""

    crop: Count
    train: Count
    test: Count

    def layout(self) -> Layout:
        """The same as a value of ``images``."""
        return Layout(self.crop, self.train, self.test)


class TrainingTable(_Table):
    """Adam on all parameters of the operator: steps, learning rate, crops in a step."""

    steps: Annotated[int, Field(ge=0, le=1_000_000)]
    rate: Annotated[float, Field(gt=0, le=10)]
    batch: Count


class EquilibriumTable(_Table):
    """How the learned operator is run to its equilibrium: relative residual and applications at most."""

    tol: Annotated[float, Field(gt=0, lt=1)]
    budget: Count


class TimingTable(_Table):
    """Rounds of a paired timing, and the seconds after which no further round is begun."""

    rounds: Count
    seconds: Annotated[float, Field(gt=0, le=3600)]


class Profile(_Table):
    """A matrix of cells and how each is measured."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,40}$")]
    summary: str
    tasks: Annotated[list[str], Field(min_length=1)]
    solvers: Annotated[list[str], Field(min_length=1)]
    seeds: Annotated[list[Annotated[int, Field(ge=0, le=2**31)]], Field(min_length=1)]
    dtype: Literal["float32", "float64"]
    threads: Annotated[int, Field(ge=1, le=256)]
    images: ImagesTable
    training: TrainingTable
    equilibrium: EquilibriumTable
    timing: TimingTable


@dataclass(frozen=True, slots=True)
class Cell:
    """One task, one solver, one seed."""

    task: Task
    solver: Solver
    seed: int

    def __str__(self) -> str:
        return f"{self.task.label} · {self.solver.label} · seed {self.seed}"


def parse_solver(text: str) -> Solver:
    """The solver that ``text`` calls for, e.g. ``restarted_jfb(10, 10)``; ``UserError`` if there is none."""
    return parse(text, {name: estimator.make for name, estimator in ROSTER.items()}, "solver")


def parse_task(text: str) -> Task:
    """The task that ``text`` calls for, e.g. ``deblurring(l1, noise=0.05)``; ``UserError`` if there is none."""
    return parse(text, TASKS, "task", PRIORS)


def profile_names() -> list[str]:
    """The profiles that come with the project."""
    return sorted(file.stem for file in FOLDER.glob("*.toml"))


def load_profile(text: str) -> Profile:
    """The profile of that name, or in that ``.toml`` file.

    Raises:
        UserError: there is none, it cannot be read, or a key or value in it is wrong.
    """
    file = Path(text) if text.endswith(".toml") else FOLDER / f"{text}.toml"
    if not text.endswith(".toml") and text not in profile_names():
        raise unknown("profile", text, profile_names())
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read the profile {text}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"the profile {text} is not TOML: {error}") from error
    try:
        profile = Profile.model_validate(table)
    except ValidationError as error:
        raise UserError(f"profile {text}: {_first(error)}") from error
    cells(profile)  # every task and solver in it must be readable before anything is run
    return profile


def _first(error: ValidationError) -> str:
    """The main complaint in a line; for a misspelt key, with the key that was meant."""
    # A misspelt key is also a missing one: the spelling is the cause, so it comes first.
    found = min(error.errors(), key=lambda e: e["type"] != "extra_forbidden")
    where = ".".join(str(part) for part in found["loc"])
    if found["type"] == "extra_forbidden":
        table = Profile
        for part in found["loc"][:-1]:
            table = Profile.model_fields[str(part)].annotation
        known = table.model_fields if isinstance(table, type) and issubclass(table, BaseModel) else {}
        return str(unknown("key", where.rsplit(".", 1)[-1], known))
    if found["type"] == "missing":
        return f"the key {where} is missing"
    return f"{where}: {found['msg'].lower()}, not {found['input']!r}"


def cells(profile: Profile, tasks: list[str] | None = None, solvers: list[str] | None = None) -> list[Cell]:
    """The cells of a profile in the order they are run, or those of them with given tasks and solvers.

    Cells of one task and seed stand together, since they share a reference gradient.

    Raises:
        UserError: a text cannot be read, or a task or solver asked for is not in the profile.
    """
    every_task = [parse_task(text) for text in profile.tasks]
    every_solver = [parse_solver(text) for text in profile.solvers]
    some_tasks = _chosen("task", every_task, [parse_task(t) for t in tasks or []])
    some_solvers = _chosen("solver", every_solver, [parse_solver(s) for s in solvers or []])
    return [
        Cell(task, solver, seed) for task in some_tasks for seed in profile.seeds for solver in some_solvers
    ]


def _chosen(kind: str, offered: list[Choice], wanted: list[Choice]) -> list[Choice]:
    labels = [value.label for value in offered]
    for value in wanted:
        if value.label not in labels:
            raise unknown(f"{kind} in this profile", value.label, labels)
    keep = {value.label for value in wanted}
    return [value for value in offered if not keep or value.label in keep]
