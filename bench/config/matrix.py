"""Read profiles from TOML, and list the cells of a run: every task, solver and seed."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from solvers import Solver, unrolled

from ..external import ExternalSolver
from ..operators import PlugAndPlayPrior
from ..tasks import Task
from ..utils.errors import UserError, unknown
from .lookup import (
    DEFAULT_DENOISERS,
    DenoiserOptions,
    Parsed,
    Value,
    parse_solver,
    parse_task,
    parse_user_solver,
    parse_user_task,
)
from .profile_schema import FOLDER, RENAMED_KEYS, RENAMED_PROFILES, Profile, profile_names
from .user_files import UserFile


@dataclass(frozen=True, slots=True)
class Cell:
    """One task, one solver, one seed; and the user's files that define the task and the solver, if any."""

    task: Task
    solver: Solver | ExternalSolver
    seed: int
    task_sources: tuple[UserFile, ...] = ()
    solver_sources: tuple[UserFile, ...] = ()

    def __str__(self) -> str:
        return f"{self.task.label} · {self.solver.label} · seed {self.seed}"

    def __reduce__(self) -> tuple[object, ...]:
        # Files first: task and solver can only be unpickled after the modules that define them exist.
        return _unpickle, ((self.task_sources, self.solver_sources), (self.task, self.solver, self.seed))

    @property
    def files(self) -> dict[str, str]:
        """Names of the user's files that decide its result, by digest; empty for built-in cells."""
        return {s.digest: s.file for s in (*self.task_sources, *self.solver_sources)}


def _unpickle(sources: tuple[Any, Any], cell: tuple[Any, Any, int]) -> Cell:
    return Cell(*cell, *sources)


def parse_user_cell(
    task: str, solver: str, seed: int, denoisers: DenoiserOptions = DEFAULT_DENOISERS
) -> Cell:
    """Make a cell from the calls of a command line, which may name files. Raises ``UserError`` as these do."""
    its_task, its_solver = parse_user_task(task, denoisers), parse_user_solver(solver)
    return Cell(its_task.value, its_solver.value, seed, its_task.sources, its_solver.sources)


def load_profile(text: str) -> Profile:
    """Read the profile of that name, or of that ``.toml`` file.

    Raises:
        UserError: there is no such profile, it cannot be read, or a key or value in it is wrong.
    """
    file = Path(text) if text.endswith(".toml") else FOLDER / f"{text}.toml"
    if text in RENAMED_PROFILES:
        new = RENAMED_PROFILES[text]
        raise UserError(f"the profile {text} is part of {new} now: run {new}")
    if not text.endswith(".toml") and text not in profile_names():
        raise unknown("profile", text, profile_names())
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read the profile {text}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        # No TOML, no UTF-8, a number of too many digits, or tables nested too deeply.
        line = " ".join(str(error).split())[:200]
        raise UserError(f"the profile {text} is not TOML: {line}") from error
    try:
        profile = Profile.model_validate(table)
    except ValidationError as error:
        raise UserError(f"profile {text}: {_error_line(error)}") from error
    # Making the cells reads every task and solver: a wrong one is an error before anything runs.
    parts = cells(profile)
    _check_distinct(profile, parts)
    labels = {cell.solver.label for part in parts for cell in part}
    for call in profile.first:
        if (label := parse_solver(call).label) not in labels:
            raise unknown(f"solver of 'first' in profile {profile.name}", label, labels)
    return profile


def _check_distinct(profile: Profile, parts: list[list[Cell]]) -> None:
    """Raise ``UserError`` if two cells would have the same name in tables."""
    pairs = zip(profile.parts(), parts, strict=True)
    for name, count in Counter(_table_name(cell, part) for part, matrix in pairs for cell in matrix).items():
        if count > 1:
            raise UserError(f"profile {profile.name}: {name} stands in it twice")


def _table_name(cell: Cell, part: Profile) -> str:
    return f"{cell}, crop {part.images.crop}, batch {part.batch_size}"


def _error_line(error: ValidationError) -> str:
    """The most important error in a line: renamed keys, then a misspelt key, then any other."""
    errors = sorted(error.errors(), key=lambda e: e["type"] != "extra_forbidden")
    paths = (".".join(p for p in e["loc"] if isinstance(p, str) and p != "blocks") for e in errors)
    if renamed := [
        f"{old} is now {RENAMED_KEYS[old]}" for old in dict.fromkeys(paths) if old in RENAMED_KEYS
    ]:
        return ", ".join(renamed)
    # A misspelt key is also reported as missing; the misspelling is the cause.
    first = errors[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return str(unknown("key", str(first["loc"][-1]), _keys(first["loc"][:-1])))
    if first["type"] == "missing":
        return f"the key {where} is missing"
    return f"{where}: {first['msg'].lower()}, not {first['input']!r}"


def _keys(path: tuple[int | str, ...]) -> list[str]:
    """Keys of the table at a path in a profile."""
    table: type[BaseModel] = Profile
    for part in path:
        if isinstance(part, str):
            annotation = table.model_fields[part].annotation
            inside = [a for a in (annotation, *get_args(annotation)) if isinstance(a, type)]
            table = next((a for a in inside if issubclass(a, BaseModel)), table)
    return list(table.model_fields)


def cells(
    profile: Profile,
    tasks: list[str] | None = None,
    solvers: list[str] | None = None,
    denoisers: DenoiserOptions = DEFAULT_DENOISERS,
    *,
    whole: bool = False,
) -> list[list[Cell]]:
    """List the cells of each part of a profile in the order of a run, all or those of some tasks and solvers.

    A user's task is added with every solver of the profile, and a user's solver with every task. Cells of one task
    and seed follow each other, since they share a reference gradient.

    Args:
        profile: the profile.
        tasks, solvers: calls on the command line; ``None`` for all of the profile.
        denoisers: options of the denoisers.
        whole: list all cells, those added by ``tasks`` and ``solvers`` too, instead of the selected ones.

    Raises:
        UserError: a call is wrong, or a task or solver is not in the profile.
    """
    task_choice = [parse_user_task(text, denoisers) for text in dict.fromkeys(tasks or [])]
    solver_choice = [parse_user_solver(text) for text in dict.fromkeys(solvers or [])]
    own_tasks, own_solvers = _own("task", task_choice), _own("solver", solver_choice)
    parts = [_cells(part, profile, denoisers, own_tasks, own_solvers) for part in profile.parts()]
    every = _without_repeats(profile, parts)
    flat = [cell for part in every for cell in part]
    if denoisers.flags() and not any(isinstance(cell.task.prior, PlugAndPlayPrior) for cell in flat):
        raise UserError(f"{denoisers.flags()}: no task of the profile {profile.name} has a denoiser")
    some_tasks = _selected("task", [cell.task.label for cell in flat], task_choice)
    some_solvers = _selected("solver", [cell.solver.label for cell in flat], solver_choice)
    if whole:
        return every
    return [
        [cell for cell in part if cell.task.label in some_tasks and cell.solver.label in some_solvers]
        for part in every
    ]


def _own(kind: str, choice: Sequence[Parsed[Value]]) -> list[Parsed[Value]]:
    """The values from users' files. Raises ``UserError`` if two have the same label."""
    own = [parsed for parsed in choice if parsed.sources]
    for label, count in Counter(parsed.value.label for parsed in own).items():
        if count > 1:
            raise UserError(f"two of --{kind} are called {label}: give them labels of their own")
    return own


def _without_repeats(profile: Profile, parts: list[list[Cell]]) -> list[list[Cell]]:
    """Drop cells of the user's own that several parts of the profile contain, but the first of each."""
    names: set[str] = set()
    distinct: list[list[Cell]] = []
    for part, matrix in zip(profile.parts(), parts, strict=True):
        distinct.append([cell for cell in matrix if not cell.files or _table_name(cell, part) not in names])
        names |= {_table_name(cell, part) for cell in matrix}
    return distinct


def _suffix(part: Profile, whole: Profile) -> str:
    """Suffix added to a task's label, so that its variants get separate tables."""
    words = [part.execution] * (part.execution != "eager") + ["warm"] * part.training.warm_start
    words += [part.dtype] * (part.dtype != whole.dtype)
    return "".join(f", {word}" for word in words)


def _cells(
    part: Profile,
    whole: Profile,
    denoisers: DenoiserOptions,
    own_tasks: list[Parsed[Task]],
    own_solvers: list[Parsed[Solver | ExternalSolver]],
) -> list[Cell]:
    check_precision(part, denoisers)
    tasks = [*(Parsed(parse_task(t, denoisers)) for t in part.tasks), *own_tasks]
    solvers = [*(Parsed(parse_solver(s)) for s in part.solvers), *own_solvers]
    suffix = _suffix(part, whole)
    tasks = [replace(t, value=replace(t.value, label=t.value.label + suffix)) for t in tasks]
    check_warm_start(part, [t.value for t in tasks])
    return [
        Cell(t.value, s.value, seed, t.sources, s.sources)
        for t in tasks
        for seed in part.seeds
        for s in solvers
        if admits(t.value, s.value)
    ]


def admits(task: Task, solver: Solver | ExternalSolver) -> bool:
    """Whether a solver can be measured on a task.

    A prior with parameters for each layer admits the unrolled network of that depth only; some external solvers admit
    some operators only.
    """
    if isinstance(solver, ExternalSolver):
        return task.prior.layers == 0 and solver.admits(task.prior, task.splitting)
    return task.prior.layers == 0 or solver == unrolled(task.prior.layers)


def check_precision(part: Profile, denoisers: DenoiserOptions) -> None:
    """Raise ``UserError`` for bfloat16 in a float64 profile, where torch's autocast would do nothing."""
    if denoisers.bf16 and part.dtype != "float32":
        raise UserError(f'--bf16 needs dtype = "float32", and {part.name} computes in {part.dtype}')


def check_warm_start(part: Profile, tasks: Sequence[Task]) -> None:
    """Raise ``UserError`` for warm starts of priors with parameters for each layer, which have no fixed point."""
    for task in tasks:
        if part.training.warm_start and task.prior.layers:
            raise UserError(
                f"{task.label} has layers of its own: training.warm_start cannot start them where they ended"
            )


def _selected(kind: str, offered: Sequence[str], choice: Sequence[Parsed[Value]]) -> set[str]:
    """Labels that a command line selects; all that are offered if it selects none."""
    selected: set[str] = set()
    for label in (parsed.value.label for parsed in choice):
        # "deblurring(huber)" selects its variants too: "deblurring(huber), compiled".
        same = {other for other in offered if other == label or other.startswith(f"{label}, ")}
        if not same:
            raise unknown(f"{kind} in this profile", label, dict.fromkeys(offered))
        selected |= same
    return selected or set(offered)
