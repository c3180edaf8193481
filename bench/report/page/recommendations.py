"""Which estimator, which depth? A card a task, with the answers to every choice that a reader of the page has."""

# The stubs of pandas know neither the types of columns nor those of rows.
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportGeneralTypeIssues=false
from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import pandas as pd

from ...analysis.contraction import contraction_words, contractions, within_theory
from ...analysis.pareto import COSTS, LEVELS, CostAxis
from ...analysis.recommendation import (
    WITHIN,
    WORK,
    Candidate,
    best,
    cheapest_setting,
    measured_psnr,
    stops,
)
from .. import words
from ..cells import three_digits

COUNTED = COSTS[:2]
"""Costs to choose from: products, and milliseconds if some were measured."""


@dataclass(frozen=True, slots=True)
class CardAnswer:
    """One answer of a card in words: a solver, the number asked for, its cost, and what else must be known.

    Only ``note`` is set if there is no answer.
    """

    solver: str = ""
    family: str = ""
    value: str = ""
    cost: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class RecommendationCard:
    """The answers for a task of a size.

    ``outside`` tells whether the task lies outside the theory, ``left_out`` which estimators cannot be ``best``, and
    ``answered`` whether an error or a PSNR was measured at all.
    """

    heading: str
    facts: tuple[str, ...]
    outside: bool
    cheapest: CardAnswer
    best: CardAnswer
    left_out: str
    answered: bool


def cheapest_answer(
    choices: Sequence[Candidate], within: float = WITHIN, memory: float = math.inf, cost: CostAxis = WORK
) -> CardAnswer:
    """The cheapest gradient within a relative error; arguments as of ``cheapest_setting``."""
    option = cheapest_setting(choices, within, memory, cost)
    if option is not None:
        return CardAnswer(option.solver, option.family, words.error(option), _cost(option))
    limit = words.percent(within)
    known = [o for o in choices if not math.isnan(o.error)]
    if not known:
        return CardAnswer(note="No exact gradient was computed for this task, so errors are not known.")
    exact = [o for o in known if o.error <= within]
    if not exact:
        closest = min(known, key=lambda o: o.error)
        return CardAnswer(
            note=f"No gradient is within {limit}. The closest: {closest.solver}, {words.error(closest)}."
        )
    timed = [o for o in exact if o.cost(cost) < math.inf]
    if not timed:
        return CardAnswer(note=f"No estimator with a gradient within {limit} was timed.")
    return CardAnswer(note=f"No gradient within {limit} has a tape so small. {_smallest_tape(timed)}")


def best_answer(
    choices: Sequence[Candidate], measurement: float, memory: float = math.inf, cost: CostAxis = WORK
) -> CardAnswer:
    """The best trained operator; ``measurement`` is the PSNR of the measurement in dB, NaN if not known."""
    found = best(choices, memory, cost)
    if found is None:
        return CardAnswer(note=_why_none_is_best(choices))
    option, notes = found.option, []
    if found.ties:
        images = (
            f" No difference that {words.count(found.images, 'validation image')} can show."
            if found.images
            else ""
        )
        notes.append(f"Tied with {words.count(found.ties, 'other')}; this is the cheapest.{images}")
    if found.top is not option:
        notes.append(f"The lowest mean: {found.top.solver}, {words.loss(found.top)}.")
    if found.higher is not None:
        higher, own = found.higher.psnr_validation, option.psnr_validation
        notes.append(
            f"Higher on the validation images: {found.higher.solver}, {words.decibel(higher)} against "
            f"{words.decibel(own)}."
        )
    if option.psnr_equilibrium < measurement:
        notes.append(f"Worse than the measurement itself, {words.decibel(measurement)}.")
    images = f"{words.decibel(option.psnr_equilibrium)} on the test images (as trained {words.decibel(option.psnr)})"
    value = f"{words.loss(option)}; {images}"
    return CardAnswer(option.solver, option.family, value, _cost(option), " ".join(notes))


def _why_none_is_best(choices: Sequence[Candidate]) -> str:
    if all(math.isnan(o.psnr) for o in choices):
        return "Nothing was trained in this run, so there is no PSNR."
    settled = [o for o in choices if o.settled]
    if not settled:
        return "No learned operator has, on every seed, an equilibrium where plain iteration stays."
    known = [o for o in settled if not math.isnan(o.training_loss)]
    if not known:
        return (
            "The training loss at the equilibrium was not recorded, and test images decide nothing: their PSNRs are in "
            "the tables."
        )
    return f"No trained operator has a tape so small. {_smallest_tape(known)}"


def _smallest_tape(choices: Sequence[Candidate]) -> str:
    least = min(choices, key=lambda o: o.tape)
    return f"The smallest: {least.solver}, {words.tape(least)}."


def _cost(option: Candidate) -> str:
    """The cost of a training step."""
    parts = [f"{words.count(option.applications, 'application')} + {words.count(option.vjps, 'VJP')}"]
    if not math.isnan(option.step_ms):
        parts.append(f"{three_digits(option.step_ms)}\u00a0ms")
    return " · ".join([*parts, words.tape(option)])


def left_out(choices: Sequence[Candidate], failed: Sequence[str]) -> str:
    """Solvers that cannot be the best trained, and why; empty if there are none.

    Args:
        choices: solvers of a heading that ended well on every seed.
        failed: its other solvers.
    """
    trained = [o for o in choices if not math.isnan(o.psnr)]
    unsettled = [o for o in trained if not math.isfinite(o.psnr_equilibrium)]
    unstable = [o for o in trained if math.isfinite(o.psnr_equilibrium) and not o.stays]
    sentences = []
    if unstable:
        sentences.append(
            f"plain iteration leaves the equilibrium of {words.listed([o.solver for o in unstable])}"
        )
    if unsettled:
        residuals = [o.residual for o in unsettled if math.isfinite(o.residual)]
        least = f" (residuals from {min(residuals):.1e})" if residuals else ""
        sentences.append(f"no equilibrium was found for {words.listed([o.solver for o in unsettled])}{least}")
    if failed:
        sentences.append(f"{words.listed(failed)} did not end well on every seed")
    if not sentences:
        return ""
    text = f"Left out: {'; '.join(sentences)}."
    far = [o for o in (*unsettled, *unstable) if math.isfinite(o.far)]
    if far:
        highest = max(far, key=lambda o: o.far)
        text += f" The highest of them at 10\u00a0× its depth: {highest.solver}, {highest.far:.2f}\u00a0dB."
    return text


def cards(frame: pd.DataFrame, of_heading: Mapping[str, list[Candidate]]) -> list[RecommendationCard]:
    """A card for each heading of the tidy table, without a limit on the tape; ``of_heading``: its ``candidates``."""
    return [
        _card(str(heading), part, of_heading.get(str(heading), []))
        for heading, part in frame.groupby("heading", sort=False)
    ]


def _card(heading: str, part: pd.DataFrame, choices: list[Candidate]) -> RecommendationCard:
    bounds, measurement, seeds = contractions(part), measured_psnr(part), part["seed"].nunique()
    outside = not within_theory(bounds)
    facts = [*contraction_words(bounds), "1 seed" if seeds == 1 else f"{seeds} seeds"]
    if not math.isnan(measurement):
        facts.append(f"measurement {words.decibel(measurement)}")
    if not choices:
        none = CardAnswer(note="No estimator ended well on every seed: the failures are below.")
        return RecommendationCard(heading, tuple(facts), outside, none, none, "", False)
    answered = any(not math.isnan(o.error) or not math.isnan(o.psnr_equilibrium) for o in choices)
    ended_well = {o.solver for o in choices}
    failed = [str(solver) for solver in part["solver"].unique() if solver not in ended_well]
    cheapest, trained = cheapest_answer(choices), best_answer(choices, measurement)
    return RecommendationCard(
        heading, tuple(facts), outside, cheapest, trained, left_out(choices, failed), answered
    )


def every_answer(frame: pd.DataFrame, of_heading: Mapping[str, list[Candidate]]) -> dict[str, object]:
    """The answers of every heading to every choice of cost, error and tape, for the script of the page.

    ``tasks[heading]["chosen"][cost][level][stop]`` are two places in ``tasks[heading]["answers"]``: of the cheapest
    gradient and of the best trained operator.
    """
    every = [option for choices in of_heading.values() for option in choices]
    limits = stops(every)
    costs = [cost for cost in COUNTED if any(o.cost(cost) < math.inf for o in every)]
    parts = dict(tuple(frame.groupby("heading", sort=False)))
    tasks: dict[str, object] = {}
    for heading, choices in of_heading.items():
        places: dict[CardAnswer, int] = {}
        measurement = measured_psnr(parts[heading])
        chosen = []
        for cost in costs:
            trained = [best_answer(choices, measurement, limit, cost) for limit in limits]
            rows = [
                [(cheapest_answer(choices, level, limit, cost), trained[i]) for i, limit in enumerate(limits)]
                for level in LEVELS
            ]
            chosen.append(
                [[[places.setdefault(a, len(places)) for a in both] for both in row] for row in rows]
            )
        tasks[heading] = {"answers": [asdict(answer) for answer in places], "chosen": chosen}
    return {
        "costs": [cost.title for cost in costs],
        "levels": [words.percent(level) for level in LEVELS],
        "stops": ["no limit" if limit == math.inf else f"{limit:g}\u00a0MiB" for limit in limits],
        "tasks": tasks,
    }
