"""Parse names of solvers, operators and tasks.

Profiles and records may use built-in names only. The command line may also name a user's Python file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from solvers import ESTIMATORS, SOLVER_PARTS, Solver

from ..external import EXTERNAL_SOLVERS, ExternalSolver
from ..operators import PLUG_AND_PLAY_PRIORS, SPLITTINGS, PlugAndPlayPrior, Splitting, TakesWeights
from ..penalties import PRIORS
from ..regularisers import REGULARISERS
from ..tasks import ROSTER as TASKS
from ..tasks import Task
from ..utils.errors import UserError
from .call_syntax import LONGEST, family, parse_call
from .user_files import MENTION, ResolvedCall, UserFile, blame_user_files, check_portable, resolve

Value = TypeVar("Value", Task, Splitting, Solver | ExternalSolver)
Factories = Mapping[str, Callable[..., object]]
SOLVERS: Mapping[str, Callable[..., Solver | ExternalSolver]] = {
    **{name: estimator.make for name, estimator in ESTIMATORS.items()},
    **EXTERNAL_SOLVERS,
}
TASK_ARGUMENTS: Factories = PRIORS | PLUG_AND_PLAY_PRIORS | REGULARISERS


@dataclass(frozen=True, slots=True)
class DenoiserOptions:
    """Weights and precision of the denoisers of a run; tasks without a denoiser ignore them.

    Attributes:
        weights: a weight file, or ``download``; ``None`` for the weights that come with the project.
        bf16: run denoisers in bfloat16, whatever the dtype of the rest.
    """

    weights: str | None = None
    bf16: bool = False

    def flags(self) -> str:
        """The options as on the command line; empty for the defaults."""
        return " ".join([f"--weights {self.weights}"] * (self.weights is not None) + ["--bf16"] * self.bf16)

    def apply(self, task: Task) -> Task:
        """Use these options for the denoiser of a task, and say so in its label."""
        prior = task.prior
        if isinstance(prior, TakesWeights) and self.weights is not None:
            prior = prior.with_weights(self.weights)
            task = replace(task, prior=prior, label=task.label.replace(task.prior.label, prior.label, 1))
        if isinstance(prior, PlugAndPlayPrior) and self.bf16:
            task = replace(task, prior=replace(prior, autocast=True), label=f"{task.label}, bf16")
        return task


DEFAULT_DENOISERS = DenoiserOptions()


@dataclass(frozen=True, slots=True)
class Parsed(Generic[Value]):
    """A solver, operator or task from the command line, and the user's files that define it; none for built-in ones."""

    value: Value
    sources: tuple[UserFile, ...] = ()


def parse_solver(text: str) -> Solver | ExternalSolver:
    """Make a built-in solver from its call: ``restarted_jfb(10, 10)``, ``deepinv_deq(100, 50)``.

    Raises:
        UserError: there is no such solver, its library is not installed, or the call names a file.
    """
    _refuse_files(text, "solver")
    return parse_call(text, SOLVERS, "solver", SOLVER_PARTS)


def parse_task(text: str, denoisers: DenoiserOptions = DEFAULT_DENOISERS) -> Task:
    """Make a built-in task from its call, e.g. ``deblurring(l1, noise=0.05)``.

    Raises:
        UserError: there is no such task, the weights cannot be read, or the call names a file.
    """
    _refuse_files(text, "task")
    return denoisers.apply(parse_call(text, TASKS, "task", TASK_ARGUMENTS))


def parse_operator(text: str) -> Splitting:
    """Make a built-in operator of a task from its call, e.g. ``peaceman_rachford(depth=10)``.

    Raises:
        UserError: there is no such operator, or the call names a file.
    """
    _refuse_files(text, "operator")
    return parse_call(text, SPLITTINGS, "operator")


def _refuse_files(text: str, kind: str) -> None:
    # Profiles and records may come from others: files that they name must never run.
    if MENTION.search(text):
        raise UserError(
            f"{kind} {text[:LONGEST]!r}: a file of your own can only be given on the command line, "
            f"by --{kind} of run and cell; profiles are data"
        )


def parse_user_solver(text: str) -> Parsed[Solver | ExternalSolver]:
    """Make a solver from a call on the command line, where ``PATH/FILE.py:NAME`` may stand for any name.

    Raises:
        UserError: as ``parse_solver``; or a file cannot be read or raises; or the result is no solver, has a label of a
            built-in solver, or cannot be pickled.
    """
    if not MENTION.search(text):
        return Parsed(parse_solver(text))
    value, call = call_user_code(text, SOLVERS, "solver", SOLVER_PARTS)
    if not isinstance(value, Solver | ExternalSolver):
        raise UserError(
            f"solver {text!r}: it returns {_type_name(value)}, not a solvers.Solver"
            + (
                "; a forward solver stands inside one: implicit(PATH/FILE.py:NAME(…), gmres(0.01))"
                * callable(value)
            )
        )
    _check_label(text, "solver", value.label, call, SOLVERS, parse_solver)
    check_portable(value, f"solver {text!r}", call.sources)
    return Parsed(value, call.sources)


def parse_user_task(text: str, denoisers: DenoiserOptions = DEFAULT_DENOISERS) -> Parsed[Task]:
    """Make a task from a call on the command line, where ``PATH/FILE.py:NAME`` may stand for any name.

    Raises:
        UserError: see ``parse_user_solver``.
    """
    if not MENTION.search(text):
        return Parsed(parse_task(text, denoisers))
    task, call = call_user_code(text, TASKS, "task", TASK_ARGUMENTS)
    if not isinstance(task, Task):
        hint = "; a prior stands inside one: deblurring(PATH/FILE.py:NAME(…))" * hasattr(task, "operator")
        raise UserError(f"task {text!r}: it returns {_type_name(task)}, not a bench.tasks.Task{hint}")
    _check_label(text, "task", task.label, call, TASKS, parse_task)
    check_portable(task, f"task {text!r}", call.sources)
    return Parsed(denoisers.apply(task), call.sources)


def parse_user_operator(text: str) -> Parsed[Splitting]:
    """Make an operator from a call on the command line, where ``PATH/FILE.py:NAME`` may stand for the name.

    Raises:
        UserError: see ``parse_user_solver``.
    """
    if not MENTION.search(text):
        return Parsed(parse_operator(text))
    splitting, call = call_user_code(text, SPLITTINGS, "operator", {})
    if not isinstance(splitting, Splitting):
        raise UserError(
            f"operator {text!r}: it returns {_type_name(splitting)}, not a bench.operators.Splitting"
        )
    _check_label(text, "operator", splitting.label, call, SPLITTINGS, parse_operator)
    check_portable(splitting, f"operator {text!r}", call.sources)
    return Parsed(splitting, call.sources)


def call_user_code(
    text: str, factories: Factories, kind: str, arguments: Factories
) -> tuple[object, ResolvedCall]:
    """Evaluate a call that names files. Returns whatever the call returns, and the files.

    Args:
        text: the call.
        factories: built-in names that may stand outside.
        kind: ``solver``, ``operator`` or ``task``, for messages.
        arguments: built-in names that may stand as arguments.

    Raises:
        UserError: there is no such name, a file uses a built-in name, or the call raises.
    """
    call = resolve(text)
    for name in call.factories:
        if name in factories or name in arguments:
            raise UserError(f"{kind} {text!r}: the project has a {name} of its own: rename yours")
    with blame_user_files(f"{kind} {text!r}", call.sources):
        return parse_call(
            call.text, {**factories, **call.factories}, kind, {**arguments, **call.factories}
        ), call


def _check_label(
    text: str,
    kind: str,
    label: object,
    call: ResolvedCall,
    factories: Factories,
    parse: Callable[[str], object],
) -> None:
    """Raise ``UserError`` for a label that is no line of text, or that a built-in solver or task has or could have."""
    if not isinstance(label, str) or not label.strip() or not label.isprintable() or len(label) > LONGEST:
        raise UserError(
            f"{kind} {text!r}: its label must be a line of at most {LONGEST} letters, not {label!r}"
        )
    try:
        parse(label)
    except UserError:
        # A built-in name around a user's prior keeps its label: deblurring(mine).
        taken = family(call.text) in call.factories and family(label) in factories
    else:
        taken = True
    if taken:
        raise UserError(
            f"{kind} {text!r}: its label {label} is that of a {kind} of the project: give it another"
        )


def _type_name(value: object) -> str:
    return "nothing" if value is None else type(value).__name__
