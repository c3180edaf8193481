"""Texts to solvers and tasks: of the rosters alone in what is data, with a user's own files on a command line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from solvers import ESTIMATORS, SOLVER_PARTS, Solver

from ..external import EXTERNAL_SOLVERS, ExternalSolver
from ..operators import PLUG_AND_PLAY_PRIORS, PlugAndPlayPrior, with_weights
from ..penalties import PRIORS
from ..tasks import ROSTER as TASKS
from ..tasks import Task
from ..utils.errors import UserError
from .call_syntax import LONGEST, family, parse_call
from .user_files import MENTION, ParsedCall, UserFile, blamed, check_portable, taken

Value = TypeVar("Value")
Factories = Mapping[str, Callable[..., object]]
SOLVERS: Mapping[str, Callable[..., Solver | ExternalSolver]] = {
    **{n: e.make for n, e in ESTIMATORS.items()},
    **EXTERNAL_SOLVERS,
}


@dataclass(frozen=True, slots=True)
class DenoiserOptions:
    """How the denoisers of a run are taken; tasks without one do not mind.

    Attributes:
        weights: a weight file, or ``download``; ``None`` for those that come with the project.
        bf16: run them in bfloat16, whatever the dtype of the rest.
    """

    weights: str | None = None
    bf16: bool = False

    def given(self) -> str:
        """The options that were given, as on the command line; empty for none."""
        return " ".join([f"--weights {self.weights}"] * (self.weights is not None) + ["--bf16"] * self.bf16)


AS_THEY_COME = DenoiserOptions()


def parse_solver(text: str) -> Solver | ExternalSolver:
    """The solver, ours or a peer's, that ``text`` calls for: ``restarted_jfb(10, 10)``, ``deepinv_deq(100, 50)``.

    Raises:
        UserError: there is none, or its library is not installed.
    """
    _refuse_files(text, "solver")
    return parse_call(text, SOLVERS, "solver", SOLVER_PARTS)


def parse_task(text: str, networks: DenoiserOptions = AS_THEY_COME) -> Task:
    """The task that ``text`` calls for, e.g. ``deblurring(l1, noise=0.05)``.

    Args:
        text: the call.
        networks: how its denoiser is taken, if it has one.

    Raises:
        UserError: there is no such task, or the weights cannot be read.
    """
    _refuse_files(text, "task")
    return _with_networks(parse_call(text, TASKS, "task", PRIORS | PLUG_AND_PLAY_PRIORS), networks)


def _with_networks(task: Task, networks: DenoiserOptions) -> Task:
    if isinstance(task.prior, PlugAndPlayPrior) and networks.weights is not None:
        prior = with_weights(task.prior, networks.weights)
        task = replace(task, prior=prior, label=task.label.replace(task.prior.label, prior.label, 1))
    if isinstance(task.prior, PlugAndPlayPrior) and networks.bf16:
        task = replace(task, prior=replace(task.prior, autocast=True), label=f"{task.label}, bf16")
    return task


def _refuse_files(text: str, kind: str) -> None:
    """Profiles and records come from others: no file that one of them names is ever run."""
    if MENTION.search(text):
        raise UserError(
            f"{kind} {text[:LONGEST]!r}: a file of your own can only be given on the command line, "
            f"by --{kind} of run and cell; profiles are data"
        )


@dataclass(frozen=True, slots=True)
class Parsed(Generic[Value]):
    """A value that a command line calls for.

    Attributes:
        value: what it is.
        sources: the files of the user's own that it is made from; empty for the rosters' own.
    """

    value: Value
    sources: tuple[UserFile, ...] = ()


@dataclass(frozen=True, slots=True)
class UserDefinitions:
    """What a command line adds to the cells of a profile."""

    tasks: tuple[Parsed[Task], ...] = ()
    solvers: tuple[Parsed[Solver | ExternalSolver], ...] = ()


def given_solver(text: str) -> Parsed[Solver | ExternalSolver]:
    """As ``parse_solver``, with ``PATH/FILE.py:NAME`` wherever a name may stand.

    Raises:
        UserError: as there; a file cannot be read or raises; what comes out is no solver, has a label that the project
            uses, or cannot be had in another process.
    """
    if not MENTION.search(text):
        return Parsed(parse_solver(text))
    value, call = made(text, SOLVERS, "solver", SOLVER_PARTS)
    if not isinstance(value, Solver | ExternalSolver):
        raise UserError(
            f"solver {text!r}: it returns {_a(value)}, not a solvers.Solver"
            + ("; a reach stands inside one: implicit(PATH/FILE.py:NAME(…), gmres(0.01))" * callable(value))
        )
    _check(text, "solver", value, call, SOLVERS, parse_solver)
    return Parsed(value, call.sources)


def given_task(text: str, networks: DenoiserOptions = AS_THEY_COME) -> Parsed[Task]:
    """As ``parse_task``, with ``PATH/FILE.py:NAME`` wherever a name may stand.

    Raises:
        UserError: see ``given_solver``.
    """
    if not MENTION.search(text):
        return Parsed(parse_task(text, networks))
    arguments: Factories = PRIORS | PLUG_AND_PLAY_PRIORS
    task, call = made(text, TASKS, "task", arguments)
    if not isinstance(task, Task):
        prior = "; a prior stands inside one: deblurring(PATH/FILE.py:NAME(…))" * hasattr(task, "operator")
        raise UserError(f"task {text!r}: it returns {_a(task)}, not a bench.tasks.Task{prior}")
    _check(text, "task", task, call, TASKS, parse_task)
    return Parsed(_with_networks(task, networks), call.sources)


def made(text: str, roster: Factories, kind: str, arguments: Factories) -> tuple[object, ParsedCall]:
    """What a call with files in it returns, whatever that is, and what was looked up for it.

    Raises:
        UserError: there is no such call, or the factory refuses its arguments.
    """
    call = taken(text)
    for name in call.made:
        if name in roster or name in arguments:
            raise UserError(f"{kind} {text!r}: the project has a {name} of its own: rename yours")
    with blamed(f"{kind} {text!r}", call.sources):
        return parse_call(call.text, {**roster, **call.made}, kind, {**arguments, **call.made}), call


def _check(
    text: str,
    kind: str,
    value: Solver | ExternalSolver | Task,
    call: ParsedCall,
    roster: Factories,
    read: Callable[[str], object],
) -> None:
    """Raise ``UserError`` for what could not be told from the project's in a table, or cannot travel."""
    label: object = value.label
    if not isinstance(label, str) or not label.strip() or not label.isprintable() or len(label) > LONGEST:
        raise UserError(
            f"{kind} {text!r}: its label must be a line of at most {LONGEST} letters, not {label!r}"
        )
    whole = family(call.text) in call.made
    try:
        read(label)
    except UserError:
        known = whole and family(label) in roster
    else:
        known = True
    if known:
        raise UserError(
            f"{kind} {text!r}: its label {label} is that of a {kind} of the project: give it another"
        )
    check_portable(value, f"{kind} {text!r}", call.sources)


def _a(value: object) -> str:
    return "nothing" if value is None else type(value).__name__


def own_of(
    tasks: list[str] | None, solvers: list[str] | None, networks: DenoiserOptions = AS_THEY_COME
) -> UserDefinitions:
    """Those of the texts of a command line that name a file of the user's own.

    Raises:
        UserError: one cannot be had, or two could not be told apart in a table.
    """
    found = UserDefinitions(
        tuple(given_task(t, networks) for t in dict.fromkeys(tasks or []) if MENTION.search(t)),
        tuple(given_solver(s) for s in dict.fromkeys(solvers or []) if MENTION.search(s)),
    )
    for kind, values in (("task", found.tasks), ("solver", found.solvers)):
        labels = [given.value.label for given in values]
        for label in labels:
            if labels.count(label) > 1:
                raise UserError(f"two of --{kind} are called {label}: give them labels of their own")
    return found
