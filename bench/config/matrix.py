"""Profiles: which tasks, solvers, depths and seeds, read from TOML."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

from pydantic import BaseModel, ValidationError

from solvers import Solver, unrolled

from ..external import ExternalSolver
from ..operators import PlugAndPlayPrior
from ..tasks import Task
from ..utils.errors import UserError, unknown
from .lookup import AS_THEY_COME, DenoiserOptions, Parsed, UserDefinitions, own_of, parse_solver, parse_task
from .profile_schema import FOLDER, RENAMED_KEYS, RENAMED_PROFILES, Profile, profile_names
from .user_files import MENTION, UserFile


@dataclass(frozen=True, slots=True)
class Cell:
    """One task, one solver, one seed; and the user's own files that the first two are from, if they are."""

    task: Task
    solver: Solver | ExternalSolver
    seed: int
    task_sources: tuple[UserFile, ...] = ()
    solver_sources: tuple[UserFile, ...] = ()

    def __str__(self) -> str:
        return f"{self.task.label} · {self.solver.label} · seed {self.seed}"

    def __reduce__(self) -> tuple[object, ...]:
        # The files first: what they define can only be unpickled after them.
        sources = (self.task_sources, self.solver_sources)
        return _unpickled, (sources, self.task, self.solver, self.seed)

    @property
    def files(self) -> dict[str, str]:
        """The user's own files that decide its result, name by digest; empty for the project's own cells."""
        return {s.digest: s.file for s in (*self.task_sources, *self.solver_sources)}


def _unpickled(
    sources: tuple[tuple[UserFile, ...], tuple[UserFile, ...]],
    task: Task,
    solver: Solver | ExternalSolver,
    seed: int,
) -> Cell:
    return Cell(task, solver, seed, *sources)


def load_profile(text: str) -> Profile:
    """The profile of that name, or in that ``.toml`` file.

    Raises:
        UserError: there is none, it cannot be read, or a key or value in it is wrong.
    """
    file = Path(text) if text.endswith(".toml") else FOLDER / f"{text}.toml"
    if text in RENAMED_PROFILES:
        raise UserError(
            f"the profile {text} is part of {RENAMED_PROFILES[text]} now: run {RENAMED_PROFILES[text]}"
        )
    if not text.endswith(".toml") and text not in profile_names():
        raise unknown("profile", text, profile_names())
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read the profile {text}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        # No TOML, no text, too long a number, or nested too deeply.
        line = " ".join(str(error).split())[:200]
        raise UserError(f"the profile {text} is not TOML: {line}") from error
    try:
        profile = Profile.model_validate(table)
    except ValidationError as error:
        raise UserError(f"profile {text}: {_first(error)}") from error
    # Every task and solver in it must be readable before anything is run.
    parts = cells(profile)
    _check_distinct(profile, parts)
    _check_first(profile, parts)
    return profile


def _check_distinct(profile: Profile, parts: list[list[Cell]]) -> None:
    """Raise ``UserError`` where two cells could not be told apart in a table."""
    seen: set[str] = set()
    for part, matrix in zip(profile.parts(), parts, strict=True):
        for cell in matrix:
            line = _line(cell, part)
            if line in seen:
                raise UserError(f"profile {profile.name}: {line} stands in it twice")
            seen.add(line)


def _check_first(profile: Profile, parts: list[list[Cell]]) -> None:
    """Raise ``UserError`` where a solver that is to be measured first is not in the profile at all."""
    known = {cell.solver.label for part in parts for cell in part}
    for text in profile.first:
        if (label := parse_solver(text).label) not in known:
            raise unknown(f"solver of 'first' in profile {profile.name}", label, known)


def _line(cell: Cell, part: Profile) -> str:
    """What tells a cell from another in a table."""
    return f"{cell}, crop {part.images.crop}, batch {part.batch_size}"


def _first(error: ValidationError) -> str:
    """The main complaint in a line; for a misspelt key, with the key that was meant."""
    # A misspelt key is also a missing one: the spelling is the cause, so it comes first.
    errors = sorted(error.errors(), key=lambda e: e["type"] != "extra_forbidden")
    paths = (".".join(str(p) for p in e["loc"] if p != "blocks" and isinstance(p, str)) for e in errors)
    if renamed := [
        f"{old} is now {RENAMED_KEYS[old]}" for old in dict.fromkeys(paths) if old in RENAMED_KEYS
    ]:
        return ", ".join(renamed)
    found = errors[0]
    where = ".".join(str(part) for part in found["loc"])
    if found["type"] == "extra_forbidden":
        return str(unknown("key", where.rsplit(".", 1)[-1], _keys(found["loc"][:-1])))
    if found["type"] == "missing":
        return f"the key {where} is missing"
    return f"{where}: {found['msg'].lower()}, not {found['input']!r}"


def _keys(path: tuple[int | str, ...]) -> list[str]:
    """The keys of the table that a path of a profile leads to."""
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
    networks: DenoiserOptions = AS_THEY_COME,
    *,
    whole: bool = False,
) -> list[list[Cell]]:
    """The cells of each part of a profile in the order they are run, or those with given tasks and solvers.

    A task of the user's own is added with every solver of the profile, and a solver with every task. Cells of one task
    and seed stand together, since they share a reference gradient.

    Args:
        profile: the matrix.
        tasks, solvers: texts of the command line.
        networks: how denoisers are taken.
        whole: the cells of the profile and those that were added to it, whichever were asked for.

    Raises:
        UserError: a text cannot be read, or a task or solver asked for is not in the profile.
    """
    own = own_of(tasks, solvers, networks)
    every = _distinct(profile, [_cells(part, profile, networks, own) for part in profile.parts()])
    if networks.given() and not any(
        isinstance(c.task.prior, PlugAndPlayPrior) for part in every for c in part
    ):
        raise UserError(f"{networks.given()}: no task of the profile {profile.name} has a denoiser")
    own_tasks = {t.value.label + _words(part, profile) for t in own.tasks for part in profile.parts()}
    own_solvers = {s.value.label for s in own.solvers}
    theirs = [parse_task(t, networks) for t in tasks or [] if not MENTION.search(t)]
    some_tasks = _labels("task", [c.task.label for p in every for c in p], theirs, own_tasks)
    others = [parse_solver(s) for s in solvers or [] if not MENTION.search(s)]
    some_solvers = _labels("solver", [c.solver.label for p in every for c in p], others, own_solvers)
    if whole:
        return every
    return [
        [cell for cell in part if cell.task.label in some_tasks and cell.solver.label in some_solvers]
        for part in every
    ]


def _distinct(profile: Profile, parts: list[list[Cell]]) -> list[list[Cell]]:
    """Without cells of the user's own that a part of the profile repeats: one of each is in the tables."""
    seen: set[str] = set()
    found: list[list[Cell]] = []
    for part, matrix in zip(profile.parts(), parts, strict=True):
        found.append([cell for cell in matrix if not cell.files or _line(cell, part) not in seen])
        seen |= {_line(cell, part) for cell in matrix}
    return found


def _words(part: Profile, whole: Profile) -> str:
    """What a table must tell apart stands in the label of a task."""
    words = [part.execution] * (part.execution != "eager") + ["warm"] * part.training.warm_start
    words += [part.dtype] * (part.dtype != whole.dtype)
    return "".join(f", {word}" for word in words)


def _cells(part: Profile, whole: Profile, networks: DenoiserOptions, own: UserDefinitions) -> list[Cell]:
    check_precision(part, networks)
    tasks = [*(Parsed(parse_task(t, networks)) for t in part.tasks), *own.tasks]
    solvers = [*(Parsed(parse_solver(s)) for s in part.solvers), *own.solvers]
    words = _words(part, whole)
    tasks = [replace(t, value=replace(t.value, label=t.value.label + words)) for t in tasks]
    check_warm(part, [t.value for t in tasks])
    return [
        Cell(t.value, s.value, seed, t.sources, s.sources)
        for t in tasks
        for seed in part.seeds
        for s in solvers
        if admits(t.value, s.value)
    ]


def admits(task: Task, solver: Solver | ExternalSolver) -> bool:
    """Whether a solver makes sense on a task.

    Parameters of each layer's own belong to a network of that depth; some peers run on some operators only.
    """
    if isinstance(solver, ExternalSolver):
        return task.prior.layers == 0 and solver.admits(task.prior)
    return task.prior.layers == 0 or solver == unrolled(task.prior.layers)


def check_precision(part: Profile, networks: DenoiserOptions) -> None:
    """Raise ``UserError`` for bfloat16 in a float64 profile, where torch's autocast would do nothing."""
    if networks.bf16 and part.dtype != "float32":
        raise UserError(f'--bf16 needs dtype = "float32", and {part.name} computes in {part.dtype}')


def check_warm(part: Profile, tasks: Sequence[Task]) -> None:
    """Raise ``UserError`` for warm starts of layers with parameters of their own: they end where the last one does."""
    for task in tasks:
        if part.training.warm_start and task.prior.layers:
            raise UserError(
                f"{task.label} has layers of its own: training.warm_start cannot start them where they ended"
            )


def _labels(
    kind: str, offered: list[str], wanted: Sequence[Task] | Sequence[Solver | ExternalSolver], own: set[str]
) -> set[str]:
    found: set[str] = set()
    for value in wanted:
        # Blocks that are measured otherwise say so behind a task: "deblurring(huber), compiled" is that task too.
        same = {label for label in offered if label == value.label or label.startswith(f"{value.label}, ")}
        if not same:
            raise unknown(f"{kind} in this profile", value.label, dict.fromkeys(offered))
        found |= same
    return found | own or set(offered)
