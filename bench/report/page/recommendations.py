"""Which estimator, which depth? The answers of a page, a card a task, and what its script needs to answer again."""

# The stubs of pandas know neither the types of columns nor those of rows.
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportGeneralTypeIssues=false
from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd

from ...analysis import recommendation
from ...analysis.pareto import COSTS, LEVELS, CostAxis
from ...analysis.recommendation import ALIKE, LOSS_ALIKE, WITHIN, WORK, Candidate
from ..cells import three_digits
from .left_out import left_out

COUNTED = COSTS[:2]
"""What may be counted: products, and milliseconds where there are some."""


@dataclass(frozen=True, slots=True)
class CardAnswer:
    """One answer of a card.

    Attributes:
        solver: the estimator with its depth; empty where there is none.
        family: its mark.
        value: the number that was asked for.
        cost: of a training step, in words.
        note: what else must be known.
    """

    solver: str
    family: str
    value: str
    cost: str
    note: str


@dataclass(frozen=True, slots=True)
class RecommendationCard:
    """The answers for a task of a size: how it is headed, what is known of it, both answers, what was not
    considered for the second, and whether there can be an answer.
    """

    heading: str
    facts: tuple[str, ...]
    outside: bool
    cheapest: CardAnswer
    best: CardAnswer
    left_out: str
    answered: bool


def answers(
    choices: list[Candidate],
    measurement: float,
    within: float = WITHIN,
    memory: float = math.inf,
    cost: CostAxis = WORK,
) -> tuple[CardAnswer, CardAnswer]:
    """The cheapest gradient, and the best trained operator; ``static/advice.js`` says the same in the same words.

    Args:
        choices: those of one heading.
        measurement: its PSNR in dB; NaN if that is not known.
        within: relative error of the gradient.
        memory: limit on the tape in MiB.
        cost: what is counted.
    """
    return _cheapest(choices, within, memory, cost), _best(choices, measurement, memory, cost)


def _cheapest(choices: list[Candidate], within: float, memory: float, cost: CostAxis) -> CardAnswer:
    found = recommendation.cheapest_setting(choices, within, memory, cost)
    if found is not None:
        return CardAnswer(found.solver, found.family, error_words(found), cost_words(found), "")
    limit = percent_text(within)
    known = [o for o in choices if not math.isnan(o.error)]
    if not known:
        return _nothing("No exact gradient was computed for this task, so errors are not known.")
    exact = [o for o in known if o.error <= within]
    if not exact:
        closest = min(known, key=lambda o: o.error)
        return _nothing(
            f"Nothing measured is within {limit}. The closest: {closest.solver}, {error_words(closest)}."
        )
    timed = [o for o in exact if o.cost(cost) < math.inf]
    if not timed:
        return _nothing(f"What is within {limit} was not timed.")
    least = min(timed, key=lambda o: o.tape)
    return _nothing(
        f"Nothing within {limit} fits on that tape. The least that does: {least.solver}, {tape_words(least)}."
    )


def _best(choices: list[Candidate], measurement: float, memory: float, cost: CostAxis) -> CardAnswer:
    found = recommendation.best(choices, memory, cost)
    if found is None:
        if all(math.isnan(o.psnr) for o in choices):
            return _nothing("Nothing was trained in this run, so there is no PSNR.")
        settled = [o for o in choices if o.settled]
        if not settled:
            return _nothing(
                "No learned operator has an equilibrium on every seed where plain iteration stays."
            )
        told = [o for o in settled if not math.isnan(o.training_loss)]
        if not told:
            return _nothing(
                "The training loss at the equilibrium was not recorded, and test images choose nothing: their PSNRs "
                "are in the tables."
            )
        least = min(told, key=lambda o: o.tape)
        return _nothing(
            f"Nothing trained fits on that tape. The least that does: {least.solver}, {tape_words(least)}."
        )
    option, notes = found.option, []
    if found.ties:
        others = "1 other" if found.ties == 1 else f"{found.ties} others"
        notes.append(f"Tied with {others}; this is the cheapest.{images_words(found.images)}")
    if found.top is not option:
        notes.append(f"The lowest mean: {found.top.solver}, {loss_words(found.top)}.")
    if found.higher is not None:
        notes.append(
            f"Higher on the validation images: {found.higher.solver}, {validation_words(found.higher)} against "
            f"{validation_words(option)}."
        )
    if option.psnr_equilibrium < measurement:
        notes.append(f"Worse than the measurement itself, {decibel(measurement)}.")
    return CardAnswer(option.solver, option.family, psnr_words(option), cost_words(option), " ".join(notes))


def _nothing(note: str) -> CardAnswer:
    return CardAnswer("", "", "", "", note)


def percent_text(value: float) -> str:
    """A relative error in per cent."""
    return f"{100 * value:.3g}\u00a0%"


def decibel(value: float) -> str:
    """A PSNR."""
    return f"{value:.2f}\u00a0dB"


def error_words(option: Candidate) -> str:
    """The error of its gradient, the largest over seeds and draws, and the least where it differs."""
    least, worst = percent_text(option.error_least), percent_text(option.error)
    return f"error {worst}" if least == worst else f"error {worst} at most, {least} at least"


def tape_words(option: Candidate) -> str:
    """Its tape."""
    return (
        "tape not measured"
        if math.isnan(option.saved_mib)
        else f"{three_digits(option.saved_mib)}\u00a0MiB of tape"
    )


def psnr_words(option: Candidate) -> str:
    """What it was chosen by, then the PSNR of the test images at equilibrium, and as trained."""
    images = f"{decibel(option.psnr_equilibrium)} on the test images (as trained {decibel(option.psnr)})"
    return f"{loss_words(option)}; {images}"


def loss_words(option: Candidate) -> str:
    """Its training loss at the equilibrium."""
    return f"training loss {option.training_loss:.4g}"


def validation_words(option: Candidate) -> str:
    """Its PSNR on the validation images."""
    return decibel(option.psnr_validation)


def images_words(images: int) -> str:
    """That images do not tell those that tie apart either."""
    if not images:
        return ""
    return f" No difference that {'1 validation image' if images == 1 else f'{images} validation images'} can show."


def cost_words(option: Candidate) -> str:
    """What a training step costs."""
    several = "application" if option.applications == 1 else "applications"
    products = "VJP" if option.vjps == 1 else "VJPs"
    parts = [f"{option.applications:g}\u00a0{several} + {option.vjps:g}\u00a0{products}"]
    if not math.isnan(option.step_ms):
        parts.append(f"{three_digits(option.step_ms)}\u00a0ms")
    return " · ".join([*parts, tape_words(option)])


def row(option: Candidate) -> dict[str, object]:
    """What the script of a page needs of an option: numbers to choose by, and words to show."""
    return {
        "solver": option.solver,
        "family": option.family,
        "seeds": option.seeds,
        "error": option.error,
        "work": option.work,
        "step_ms": option.step_ms,
        "saved_mib": option.saved_mib,
        "psnr": option.psnr,
        "at_equilibrium": option.psnr_equilibrium,
        "settled": option.settled,
        "loss": option.loss,
        "validation": option.validation,
        "words": {
            "error": error_words(option),
            "tape": tape_words(option),
            "psnr": psnr_words(option),
            "cost": cost_words(option),
            "top": loss_words(option),
            "validation": validation_words(option),
        },
    }


def measurements(frame: pd.DataFrame) -> dict[str, float]:
    """PSNR of the measurement by heading, in dB; NaN where it is not known."""
    return {
        str(h): float(part["psnr_measurement"].mean()) for h, part in frame.groupby("heading", sort=False)
    }


def cards(frame: pd.DataFrame) -> list[RecommendationCard]:
    """A card for each heading of the tidy table, without a limit on the tape."""
    options, known = recommendation.by_heading(recommendation.options(frame)), measurements(frame)
    found = []
    for heading, part in frame.groupby("heading", sort=False):
        choices = options.get(str(heading), [])
        if choices:
            first, second = answers(choices, known[str(heading)])
        else:
            first = second = _nothing("No estimator ended well on every seed: the failures are below.")
        contraction = float(part["contraction"].mean())
        outside = math.isnan(contraction) or contraction >= 1
        chips = _facts(part, contraction, known[str(heading)])
        answered = any(not math.isnan(o.error) or not math.isnan(o.psnr_equilibrium) for o in choices)
        failed = [s for s in dict.fromkeys(part["solver"]) if all(o.solver != s for o in choices)]
        said = left_out(choices, [str(s) for s in failed]) if choices else ""
        found.append(RecommendationCard(str(heading), chips, outside, first, second, said, answered))
    return found


def _facts(part: pd.DataFrame, contraction: float, measurement: float) -> tuple[str, ...]:
    if math.isnan(contraction):
        facts = ["L not known in advance: outside the theory"]
    elif contraction >= 1:
        facts = [f"L ≤ {contraction:.3f}: outside the theory"]
    else:
        facts = [f"L ≤ {contraction:.3f}"]
    seeds = part["seed"].nunique()
    facts.append("1 seed" if seeds == 1 else f"{seeds} seeds")
    if not math.isnan(measurement):
        facts.append(f"measurement {decibel(measurement)}")
    return tuple(facts)


def _images(options: list[Candidate]) -> int:
    """Validation images of an option at most, over all seeds."""
    return max((sum(map(len, o.validation)) for o in options), default=0)


def stop_words(limit: float) -> str:
    """A stop of the slider."""
    return "no limit" if limit == math.inf else f"{limit:g}\u00a0MiB"


def data(frame: pd.DataFrame) -> dict[str, object]:
    """What the script of a page answers from."""
    options = recommendation.options(frame)
    known = measurements(frame)
    return {
        "alike": ALIKE,
        "loss_alike": LOSS_ALIKE,
        "images": [images_words(images) for images in range(1 + _images(options))],
        "headings": {
            heading: {
                "measurement": known[heading],
                "words": decibel(known[heading]),
                "rows": [row(o) for o in choices],
            }
            for heading, choices in recommendation.by_heading(options).items()
        },
        "stops": [{"limit": limit, "words": stop_words(limit)} for limit in recommendation.stops(options)],
        "levels": [{"value": level, "words": percent_text(level)} for level in LEVELS],
        "costs": [
            {"name": cost.name, "words": cost.title}
            for cost in COUNTED
            if any(o.cost(cost) < math.inf for o in options)
        ],
    }
