"""What to take, in a sentence a task and one for the run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from ..analysis.pareto import CostAxis
from ..analysis.recommendation import (
    ALIKE,
    WITHIN,
    WORK,
    Candidate,
    Recommendation,
    best,
    cheapest_setting,
    measured_psnr,
)
from ..config.call_syntax import brief_call, family, solver_of
from ..external import EXTERNAL_SOLVERS
from . import words
from .cells import three_digits


@dataclass(frozen=True, slots=True)
class Limits:
    """What a choice must keep to.

    Attributes:
        within: limit on the relative error of the gradient.
        memory: limit on the tape in MiB.
        cost: of a training step, by which the cheapest is chosen.
    """

    within: float = WITHIN
    memory: float = math.inf
    cost: CostAxis = WORK


@dataclass(frozen=True, slots=True)
class RunVerdict:
    """The sentences of a run.

    Attributes:
        overall: of all tasks; empty for a run of one task.
        tasks: by heading.
    """

    overall: str
    tasks: Mapping[str, str]

    def lines(self) -> list[str]:
        """All sentences, the overall one first, each with its task before it."""
        return [
            *filter(None, [self.overall]),
            *(f"{heading}: {text}" for heading, text in self.tasks.items()),
        ]


def run_verdict(
    frame: pd.DataFrame, of_heading: Mapping[str, list[Candidate]], limits: Limits = Limits()
) -> RunVerdict:
    """The sentences of a run.

    Args:
        frame: of ``tidy.tidy``.
        of_heading: its ``candidates``.
        limits: what a choice must keep to.
    """
    if not any(_measured(o) for choices in of_heading.values() for o in choices):
        return RunVerdict(
            "Nothing was trained and no exact gradient was computed, so this run compares costs alone.", {}
        )
    tasks = {
        str(heading): task_verdict(of_heading.get(str(heading), []), measured_psnr(part), limits)
        for heading, part in frame.groupby("heading", sort=False)
    }
    overall = overall_verdict([of_heading.get(heading, []) for heading in tasks], limits)
    return RunVerdict(overall if len(tasks) > 1 else "", tasks)


def task_verdict(choices: Sequence[Candidate], measurement: float, limits: Limits = Limits()) -> str:
    """What to take for one task, to train and for an exact gradient, and what speaks against it.

    Args:
        choices: its solvers that ended well on every seed.
        measurement: mean PSNR of the measurement in dB; NaN if unknown.
        limits: what a choice must keep to.
    """
    if not choices:
        return "No estimator ended well on every seed."
    found = best(choices, limits.memory, limits.cost)
    exact = cheapest_setting(choices, limits.within, limits.memory, limits.cost)
    sentences = [*_trained(choices, found, measurement, limits), *_better_as_trained(choices, found)]
    if exact is not None and found is not None and exact is found.option:
        sentences.append(f"Its gradient is within {words.percent(limits.within)}.")
    else:
        sentences.append(_gradient(choices, exact, limits))
    return " ".join(sentences)


def _trained(
    choices: Sequence[Candidate], found: Recommendation | None, measurement: float, limits: Limits
) -> list[str]:
    """What to train with; nothing where nothing was trained."""
    trained = [o for o in choices if not math.isnan(o.psnr)]
    if not trained:
        return []
    if found is None:
        if limits.memory < math.inf and best(choices, cost=limits.cost) is not None:
            return [f"No trained operator has a tape of {limits.memory:g}\u00a0MiB or less."]
        if not any(o.settled for o in trained):
            return ["No trained operator stays at an equilibrium."]
        return [
            "Which operator is trained best is not known: the training loss at the equilibrium was not recorded."
        ]
    option = found.option
    values = f"{words.decibel(option.psnr_equilibrium)} at its equilibrium, {_cost(option, limits.cost)}"
    sentences = [f"{_named(option)} trains best: {values}."]
    if found.ties:
        share = (
            f"All {len(trained)}"
            if len(found.tied) == len(trained)
            else f"{len(found.tied)} of {len(trained)}"
        )
        alike = "estimators train alike within noise, so take the cheapest"
        sentences = [f"{share} {alike}, {_named(option)}: {values}."]
    if option.psnr_equilibrium < measurement:
        sentences.append(f"That is worse than the measurement, {words.decibel(measurement)}.")
    return sentences


def _better_as_trained(choices: Sequence[Candidate], found: Recommendation | None) -> list[str]:
    """A sentence on the solver with the highest PSNR as trained, if its operator does not stay there."""
    trained = [o for o in choices if not math.isnan(o.psnr)]
    if not trained:
        return []
    highest = max(trained, key=lambda o: o.psnr)
    floor = -math.inf if found is None else found.option.psnr + ALIKE
    if highest.settled or highest.psnr <= floor:
        return []
    end = "diverges" if highest.far == -math.inf else f"ends at {words.decibel(highest.far)}"
    after = f": at 10\u00a0× the depth it {end}" if not math.isnan(highest.far) else ""
    return [
        f"{_named(highest)} has {words.decibel(highest.psnr)} as trained, but no equilibrium where it stays{after}."
    ]


def _gradient(choices: Sequence[Candidate], exact: Candidate | None, limits: Limits) -> str:
    limit = words.percent(limits.within)
    if exact is not None:
        return f"For a gradient within {limit}, take {_named(exact)}: {_cost(exact, limits.cost)}."
    known = [o for o in choices if not math.isnan(o.error)]
    if not known:
        return "No exact gradient was computed, so errors of gradients are not known."
    if any(o.error <= limits.within for o in known):
        return f"No gradient within {limit} keeps to the limit on the tape, or has a measured cost."
    closest = min(known, key=lambda o: o.error)
    return f"No gradient is within {limit}; the closest is that of {_named(closest)}, {words.error(closest)}."


def overall_verdict(of_task: Sequence[Sequence[Candidate]], limits: Limits = Limits()) -> str:
    """One choice for all tasks, to train and for an exact gradient, or for how many there is one.

    Args:
        of_task: for each task its solvers that ended well on every seed.
        limits: what a choice must keep to.
    """
    found = [best(choices, limits.memory, limits.cost) for choices in of_task]
    trained = [
        [] if one is None else list(one.tied)
        for choices, one in zip(of_task, found, strict=True)
        if any(not math.isnan(o.psnr) for o in choices)
    ]
    exact = [
        [o for o in choices if o.error <= limits.within and o.tape <= limits.memory]
        for choices in of_task
        if any(not math.isnan(o.error) for o in choices)
    ]
    limit = words.percent(limits.within)
    known = "" if len(exact) == len(of_task) else " with an exact gradient"
    sentences = [
        _common(trained, limits, "{} trains as well as any", "No trained operator stays at an equilibrium.")
        if trained
        else "Nothing was trained.",
        _common(
            exact,
            limits,
            f"{{}} has a gradient within {limit}",
            f"No gradient is known to be within {limit}.",
            known,
        ),
    ]
    return " ".join(sentences)


def _common(
    of_task: Sequence[Sequence[Candidate]], limits: Limits, statement: str, otherwise: str, which: str = ""
) -> str:
    """A statement on the solver that is a candidate on most tasks, and of those the cheapest; or ``otherwise``."""
    by_name: dict[str, list[Candidate]] = {}
    for option in (option for choices in of_task for option in choices):
        if option.cost(limits.cost) < math.inf:
            by_name.setdefault(option.solver, []).append(option)
    if not by_name:
        return otherwise
    options = min(by_name.values(), key=lambda found: (-len(found), sum(o.cost(limits.cost) for o in found)))
    tasks = f"{words.count(len(of_task), 'task')}{which}"
    where = f"on {'the' if len(of_task) == 1 else 'all'} {tasks}"
    if len(options) < len(of_task):
        where = f"on {len(options)} of {tasks}, and none on more"
    costs = [o.cost(limits.cost) for o in options]
    low, high = three_digits(min(costs)), three_digits(max(costs))
    spread = low if low == high else f"{low} to {high}"
    return f"{statement.format(_named(options[0]))} {where}, for {spread} {limits.cost.unit} a step."


def _measured(option: Candidate) -> bool:
    """Whether there is more than its cost."""
    return not (math.isnan(option.psnr) and math.isnan(option.error))


def _named(option: Candidate) -> str:
    """A solver with its first arguments, and whether it is of another library."""
    call = brief_call(option.solver)
    external = family(solver_of(option.solver)) in EXTERNAL_SOLVERS
    return f"{call} (of another library)" if external else call


def _cost(option: Candidate, cost: CostAxis) -> str:
    return f"{cost.show(option.cost(cost))} a step, {words.tape(option)}"
