"""The command ``check``: run every check that applies to a solver, a task or an operator, and print the outcomes."""

from __future__ import annotations

import dataclasses
import gc
import json
from typing import cast

import pandas as pd

from bench.config.call_syntax import LONGEST
from bench.config.lookup import SOLVERS, TASK_ARGUMENTS, call_user_code
from bench.external import ExternalSolver
from bench.operators import Prior
from bench.tasks import ROSTER as TASKS
from bench.tasks import Task
from bench.utils.console import print_frame, say
from bench.utils.errors import UserError
from bench.utils.terminal import printed_json, stdout_to_stderr
from solvers import GMRES, SOLVER_PARTS, ForwardSolver, ImplicitDifferentiation, Solver

from ..operators.operator_claims import check_operator_claims
from ..operators.user_operator import UserOperator, operator_case, validate_operator
from .outcome import CheckOutcome, claim_outcome, merge_notes
from .problem import check_prior, check_task
from .solver import check_solver


def print_checks(call: str, within: float | None = None, as_json: bool = False) -> bool:
    """Print the outcomes of all checks of a call.

    Args:
        call: the call, as on the command line.
        within: largest relative error allowed for a solver's gradient.
        as_json: print JSON instead of a table.

    Returns:
        Whether no check failed.

    Raises:
        UserError: there is no such call, or its result cannot be checked.
    """
    # Some checks collect garbage before they look at a tape. Frozen, the half million imported objects are skipped.
    gc.freeze()
    with stdout_to_stderr():
        outcomes = run_checks(resolve_call(call), within, call)
    if as_json:
        text = json.dumps([dataclasses.asdict(outcome) for outcome in outcomes], ensure_ascii=False, indent=1)
        print(printed_json(text))  # noqa: T201
    else:
        rows = [
            {"check": o.check, "verdict": o.verdict, "": o.words if o.verdict == "good" else ""}
            for o in outcomes
        ]
        print_frame(pd.DataFrame(rows), call)
        for outcome in outcomes:
            if outcome.verdict != "good":
                say(f"{outcome.check}: {outcome.words}", "red" if outcome.wrong else None)
    wrong = sum(outcome.wrong for outcome in outcomes)
    if wrong:
        say(f"{wrong} of {len(outcomes)} checks failed", "red")
    return not wrong


def resolve_call(text: str) -> object:
    """Evaluate a call with the names of every registry and of the user's files.

    Raises:
        UserError: there is no such call, or a file in it cannot be read or raises an error.
    """
    names = {**SOLVERS, **TASKS, **TASK_ARGUMENTS}
    return call_user_code(text, names, "solver, task or operator", {**SOLVER_PARTS, **TASK_ARGUMENTS})[0]


def run_checks(value: object, within: float | None = None, text: str = "it") -> list[CheckOutcome]:
    """Run all checks that apply to a value.

    Args:
        value: a solver, a forward solver, a task, a prior, or a ``UserOperator``.
        within: largest relative error allowed for a solver's gradient; ``None`` if it may be biased.
        text: the call that made the value, for messages.

    Raises:
        UserError: the value is none of these.
    """
    if isinstance(value, UserOperator):
        return _check_user_operator(validate_operator(value, text), text)
    if isinstance(value, Solver):
        return [_check_label(value.label), *check_solver(value, within)]
    if within is not None and not (callable(value) and dataclasses.is_dataclass(value)):
        raise UserError(f"--within is for solvers, and {text} returns {type(value).__name__}")
    if isinstance(value, Task):
        return [_check_label(value.label), *check_task(value)]
    if all(hasattr(value, name) for name in ("label", "layers", "operator")):
        prior = cast(Prior, value)
        return [_check_label(prior.label), *check_prior(prior)]
    if isinstance(value, ExternalSolver):
        raise UserError(f"{text} is another library's: only solvers.Solver can be checked")
    if callable(value) and dataclasses.is_dataclass(value):
        forward_solver = cast(ForwardSolver, value)
        return check_solver(
            Solver(f"implicit({text}, …)", forward_solver, ImplicitDifferentiation(GMRES(1e-12))), within
        )
    raise UserError(
        f"{text} returns {'nothing' if value is None else type(value).__name__}: give what returns a solvers.Solver, "
        "a bench.tasks.Task, a prior (label, layers, operator) or a theory_checks.operators.UserOperator"
    )


def _check_label(label: object) -> CheckOutcome:
    good = isinstance(label, str) and label.strip() and label.isprintable() and len(label) <= LONGEST
    words = "" if good else f"the label is {label!r}: it must be the call that makes it, in one line"
    return CheckOutcome("label", "good" if good else "FAILS", words)


def _check_user_operator(operator: UserOperator, text: str) -> list[CheckOutcome]:
    checks = check_operator_claims(*operator_case(operator, text))
    return merge_notes(
        [
            claim_outcome(c, f"L = {c.L:.4g} ({c.rigour}); {c.reason or f'ratio {c.ratio:.2g}'}")
            for c in checks
        ]
    )
