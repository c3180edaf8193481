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
from ..operators import PlugAndPlayPrior, Splitting
from ..operators.splitting import FORWARD_BACKWARD
from ..tasks import Task
from ..utils.errors import UserError, unknown
from .call_syntax import method_label
from .lookup import (
    DEFAULT_DENOISERS,
    DenoiserOptions,
    Parsed,
    Value,
    parse_operator,
    parse_solver,
    parse_task,
    parse_user_operator,
    parse_user_solver,
    parse_user_task,
)
from .profile_schema import FOLDER, RENAMED_KEYS, RENAMED_PROFILES, Profile, profile_names
from .user_files import UserFile


@dataclass(frozen=True, slots=True)
class Cell:
    """One task with its operator, one solver, one seed; and the user's files that define them, if any."""

    task: Task
    solver: Solver | ExternalSolver
    seed: int
    task_sources: tuple[UserFile, ...] = ()
    solver_sources: tuple[UserFile, ...] = ()

    def __str__(self) -> str:
        return f"{self.task.label} · {self.method} · seed {self.seed}"

    def __reduce__(self) -> tuple[object, ...]:
        # Files first: task and solver can only be unpickled after the modules that define them exist.
        return _unpickle, ((self.task_sources, self.solver_sources), (self.task, self.solver, self.seed))

    @property
    def method(self) -> str:
        """The solver and its operator, as tables name them."""
        return method_label(self.solver.label, self.task.splitting.label)

    @property
    def files(self) -> dict[str, str]:
        """Names of the user's files that decide its result, by digest; empty for built-in cells."""
        return {s.digest: s.file for s in (*self.task_sources, *self.solver_sources)}


def _unpickle(sources: tuple[Any, Any], cell: tuple[Any, Any, int]) -> Cell:
    return Cell(*cell, *sources)


def parse_user_cell(
    task: str,
    solver: str,
    seed: int,
    denoisers: DenoiserOptions = DEFAULT_DENOISERS,
    operator: str | None = None,
) -> Cell:
    """Make a cell from the calls of a command line, which may name files.

    Raises:
        UserError: a call is wrong, or the operator or the solver does not admit the task.
    """
    on, its_solver = with_operator(parse_user_task(task, denoisers), operator), parse_user_solver(solver)
    if reason := refusal(on.value, its_solver.value):
        raise UserError(reason)
    return Cell(on.value, its_solver.value, seed, on.sources, its_solver.sources)


def with_operator(task: Parsed[Task], operator: str | None) -> Parsed[Task]:
    """The task with the operator of a call on the command line; as it is for ``None``.

    Raises ``UserError`` if the call is wrong, or the operator does not admit the prior of the task.
    """
    if operator is None:
        return task
    parsed = parse_user_operator(operator)
    if reason := parsed.value.refusal(task.value.prior):
        raise UserError(reason)
    return _on(task, parsed)


def _on(task: Parsed[Task], operator: Parsed[Splitting]) -> Parsed[Task]:
    """The task with another operator, whose label says so if the operator makes it another problem."""
    label = task.value.label
    if not operator.value.same_equilibrium:
        label += f", {operator.value.label}"
    sources = tuple(dict.fromkeys((*task.sources, *operator.sources)))
    return Parsed(replace(task.value, splitting=operator.value, label=label), sources)


@dataclass(frozen=True, slots=True)
class _Own:
    """Tasks, operators and solvers from a user's files."""

    tasks: list[Parsed[Task]]
    operators: list[Parsed[Splitting]]
    solvers: list[Parsed[Solver | ExternalSolver]]


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
    tasks: Sequence[str] | None = None,
    solvers: Sequence[str] | None = None,
    denoisers: DenoiserOptions = DEFAULT_DENOISERS,
    *,
    operators: Sequence[str] | None = None,
    whole: bool = False,
) -> list[list[Cell]]:
    """List the cells of each part of a profile in the order of a run, all or those of some tasks and solvers.

    A user's task is added with every operator and solver of the profile, a user's solver with every task, and so on.
    Cells of one task and seed follow each other, since they share a reference gradient.

    Args:
        profile: the profile.
        tasks, solvers: calls on the command line; ``None`` for all of the profile.
        denoisers: options of the denoisers.
        operators: calls on the command line; ``None`` for all of the profile.
        whole: list all cells, those added by these calls too, instead of the selected ones.

    Raises:
        UserError: a call is wrong, or a task, operator or solver is not in the profile.
    """
    task_choice = [parse_user_task(text, denoisers) for text in dict.fromkeys(tasks or [])]
    operator_choice = [parse_user_operator(text) for text in dict.fromkeys(operators or [])]
    solver_choice = [parse_user_solver(text) for text in dict.fromkeys(solvers or [])]
    own = _Own(_own("task", task_choice), _own("operator", operator_choice), _own("solver", solver_choice))
    parts = [_cells(part, profile, denoisers, own) for part in profile.parts()]
    every = _without_repeats(profile, parts)
    flat = [cell for part in every for cell in part]
    if denoisers.flags() and not any(isinstance(cell.task.prior, PlugAndPlayPrior) for cell in flat):
        raise UserError(f"{denoisers.flags()}: no task of the profile {profile.name} has a denoiser")
    some_tasks = _selected("task", [cell.task.label for cell in flat], task_choice)
    some_operators = _selected("operator", [cell.task.splitting.label for cell in flat], operator_choice)
    some_solvers = _selected("solver", [cell.solver.label for cell in flat], solver_choice)
    if whole:
        return every

    def selected(cell: Cell) -> bool:
        operator = cell.task.splitting.label in some_operators
        return operator and cell.task.label in some_tasks and cell.solver.label in some_solvers

    return [[cell for cell in part if selected(cell)] for part in every]


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
    own: _Own,
) -> list[Cell]:
    check_precision(part, denoisers)
    tasks = [*(Parsed(parse_task(t, denoisers)) for t in part.tasks), *own.tasks]
    operators = [*(Parsed(parse_operator(o)) for o in part.operators), *own.operators]
    solvers = [*(Parsed(parse_solver(s)) for s in part.solvers), *own.solvers]
    suffix = _suffix(part, whole)
    tasks = [replace(t, value=replace(t.value, label=t.value.label + suffix)) for t in tasks]
    check_warm_start(part, [t.value for t in tasks])
    return [
        Cell(t.value, s.value, seed, t.sources, s.sources)
        for task in tasks
        for seed in part.seeds
        for t in _on_operators(task, operators)
        for s in solvers
        if not refusal(t.value, s.value)
    ]


def _on_operators(task: Parsed[Task], operators: list[Parsed[Splitting]]) -> list[Parsed[Task]]:
    """The task on each operator that its prior admits; first on its own, if a user's task brings one."""
    own = [Parsed(task.value.splitting)] * (task.value.splitting.label != FORWARD_BACKWARD)
    different = {operator.value.label: operator for operator in (*own, *operators)}
    return [_on(task, o) for o in different.values() if not o.value.refusal(task.value.prior)]


def refusal(task: Task, solver: Solver | ExternalSolver) -> str:
    """Why a solver cannot be measured on a task with its operator, in a line that says what to do; empty if it can.

    A prior with parameters for each layer admits the unrolled network of that depth only; some external solvers admit
    some operators only.
    """
    layers = task.prior.layers
    if reason := task.splitting.refusal(task.prior):
        return reason
    if layers and (isinstance(solver, ExternalSolver) or solver != unrolled(layers)):
        return f"{task.label} has parameters of its own for each of {layers} layers: give --solver 'unrolled({layers})'"
    if isinstance(solver, ExternalSolver) and not solver.admits(task.prior, task.splitting):
        return f"{solver.label} does not run on {task.splitting.label} with {task.prior.label}: choose another solver"
    return ""


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
