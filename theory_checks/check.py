"""The command ``check``: a solver, a task or an operator of a user's own, and in words what is wrong with it."""

from __future__ import annotations

import dataclasses
import gc
import json as text_of
from typing import cast

import pandas as pd

from bench.calls import LONGEST
from bench.command import print_frame, say
from bench.errors import UserError
from bench.given import SOLVERS, made
from bench.operators import DENOISED, PRIORS, Prior
from bench.peers import Peer
from bench.tasks import ROSTER as TASKS
from bench.tasks import Task
from bench.terminal import aside, printed_json
from solvers import GMRES, PARTS, Implicit, Reach, Solver

from .check_problem import prior_findings, task_findings
from .check_solver import solver_findings
from .found import Found, of_claim, together
from .operator import Operator, case_of, examine, validated


def check(what: str, within: float | None = None, json: bool = False) -> bool:
    """Print what the checks of a call find. Whether all is well.

    Args:
        what: the call, as on the command line.
        within: the relative error that a solver's gradient is meant to keep.
        json: print one JSON object in place of a table.

    Raises:
        UserError: there is no such call, or what it returns cannot be checked.
    """
    # Checks of what a tape holds look for garbage first; what was imported, half a million objects, is none.
    gc.freeze()
    with aside():
        results = findings(called(what), within, what)
    if json:
        text = text_of.dumps([dataclasses.asdict(one) for one in results], ensure_ascii=False, indent=1)
        print(printed_json(text))  # noqa: T201
    else:
        rows = [
            {"check": f.check, "verdict": f.verdict, "": f.words if f.verdict == "good" else ""}
            for f in results
        ]
        print_frame(pd.DataFrame(rows), what)
        for one in results:
            if one.verdict != "good":
                style = "red" if one.wrong else None
                line = f"{one.check}: {one.words}"
                say(line, style)
    wrong = sum(one.wrong for one in results)
    if wrong:
        say(f"{wrong} of {len(results)} checks failed", "red")
    return not wrong


def called(text: str) -> object:
    """What a call returns, with names of every roster and files of the user's own.

    Raises:
        UserError: there is no such call, or a file in it cannot be read or raises.
    """
    roster = {**SOLVERS, **TASKS, **PRIORS, **DENOISED}
    return made(text, roster, "solver, task or operator", {**PARTS, **PRIORS, **DENOISED})[0]


def findings(value: object, within: float | None = None, text: str = "it") -> list[Found]:
    """All checks that apply to a value.

    Args:
        value: a solver, a reach, a task, a prior, or an ``Operator`` of ``theory_checks``.
        within: the relative error that a solver's gradient is meant to keep; ``None`` where it may be biased.
        text: the call that made it, for messages.

    Raises:
        UserError: the value is none of these.
    """
    if isinstance(value, Operator):
        return _step_findings(validated(value, text), text)
    if isinstance(value, Solver):
        return [*_label(value.label), *solver_findings(value, within)]
    if within is not None and not (callable(value) and dataclasses.is_dataclass(value)):
        raise UserError(f"--within is for solvers, and {text} returns {type(value).__name__}")
    if isinstance(value, Task):
        return [*_label(value.label), *task_findings(value)]
    if all(hasattr(value, name) for name in ("label", "layers", "operator")):
        prior = cast(Prior, value)
        return [*_label(prior.label), *prior_findings(prior)]
    if isinstance(value, Peer):
        raise UserError(f"{text} is another library's: only solvers.Solver can be checked")
    if callable(value) and dataclasses.is_dataclass(value):
        reach = cast(Reach, value)
        return solver_findings(Solver(f"implicit({text}, …)", reach, Implicit(GMRES(1e-12))), within)
    raise UserError(
        f"{text} returns {'nothing' if value is None else type(value).__name__}: give what returns a solvers.Solver, "
        "a bench.tasks.Task, a prior (label, layers, operator) or a theory_checks.operator.Operator"
    )


def _label(label: object) -> list[Found]:
    good = isinstance(label, str) and label.strip() and label.isprintable() and len(label) <= LONGEST
    words = "" if good else f"the label is {label!r}: it must be the call that makes it, in a line"
    return [Found("label", "good" if good else "FAILS", words)]


def _step_findings(operator: Operator, text: str) -> list[Found]:
    found = examine(*case_of(operator, text))
    return together(
        [of_claim(f, f"L = {f.L:.4g} ({f.rigour}); {f.reason or f'ratio {f.ratio:.2g}'}") for f in found]
    )
