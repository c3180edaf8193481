"""Runs claims on drawn examples: a verdict with the worst ratio, a counter-example if any, and the twin's fate."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import HypothesisException, Unsatisfiable

from bench.errors import in_a_line
from solvers import Solver

from .claim import OF_THE_CHECK, Claim, Sides
from .experiment import Row

SEED = 250613239
GENERATE = (Phase.explicit, Phase.generate)
WITH_SHRINK = (*GENERATE, Phase.shrink)


class Violation(AssertionError):  # noqa: N818
    """An example on which a statement is false."""


@dataclass(slots=True)
class Tally:
    """What was seen while examples were drawn."""

    tried: int = 0
    outside: int = 0
    reason: str = ""
    worst: float = 0.0
    worst_example: str = ""
    effectivities: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    counter_example: str = ""
    families: set[str] = field(default_factory=set[str])


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of a claim.

    Attributes:
        id, statement, assumptions, source: the claim's.
        verdict: ``holds``, ``FAILS``, ``assumption not met`` (no example met them), ``no teeth`` (its
            twin survived), ``not sharp`` (it is attained on paper, but 0.99 was not seen), or of an experiment
            ``not met here`` (a row says why the statement is not met at this size).
        families: of the instances that were drawn.
        examples: how many met the assumptions; ``outside`` how many did not, and ``reason`` why the last did not.
        worst: largest ``lhs/rhs`` of an inequality, or the largest relative deviation of an equality.
        median, ninetieth: quantiles of ``rhs/lhs`` of an inequality, over examples that are not rounding: how
            much a bound exaggerates. nan for an equality.
        spread: the same for each family, and where the bound is below ``Sides.scale``, that is says anything:
            the number of examples, median and 90th percentile.
        detail: the counter-example, or the example of the worst ratio.
        twin: the false statement and the example that refuted it.
        seconds: all of it.
        mark, rows: of an experiment: how its statement is known, and what was measured.
    """

    id: str
    statement: str
    assumptions: str
    source: str
    verdict: str
    families: str
    examples: int
    outside: int
    reason: str
    worst: float
    median: float
    ninetieth: float
    spread: dict[str, tuple[int, float, float]]
    detail: str
    twin: str
    seconds: float = field(compare=False)
    mark: str = ""
    rows: tuple[Row, ...] = ()


def holds(sides: Sides, rounding: float) -> bool:
    """``lhs ≤ rhs`` up to rounding; anything that is not finite is a violation."""
    if not math.isfinite(sides.lhs) or math.isnan(sides.rhs):
        return False
    return sides.lhs <= sides.rhs * (1 + 1e-9) + rounding * sides.scale


def ratio(sides: Sides, rounding: float) -> float:
    """``lhs/rhs``; for an equality the relative deviation; 0 where both are rounding or the left side is negative."""
    if sides.lhs <= 0:
        return 0.0
    if sides.rhs == 0:
        return sides.lhs / sides.scale if sides.scale else (math.inf if sides.lhs else 0.0)
    return sides.lhs / sides.rhs if sides.rhs > 100 * rounding * sides.scale else 0.0


def effectivity(sides: Sides, rounding: float) -> float | None:
    """``rhs/lhs``, of the first of several inequalities: 1 for a bound that is attained.

    ``None`` where there is no bound, or nothing but rounding to be bounded.
    """
    lhs, rhs = sides.first or (sides.lhs, sides.rhs)
    return rhs / lhs if 0 < rhs < math.inf and lhs > 100 * rounding * sides.scale else None


def quantiles(values: list[float]) -> tuple[float, float]:
    """The least of ``values`` that at least 50 % and 90 % of them do not exceed; nan of none."""
    last = len(values) - 1
    return (
        (sorted(values)[last // 2], sorted(values)[math.ceil(0.9 * last)]) if values else (math.nan, math.nan)
    )


def verify(claim: Claim, examples: int = 100) -> Verdict:
    """Draw ``examples`` examples of a claim and of its twin, the same ones every time."""
    begin = time.perf_counter()
    tally = _search(claim, claim.sides, examples, WITH_SHRINK)
    twin = _search(claim, claim.too_strong, examples, GENERATE)
    if tally.counter_example:
        verdict = "FAILS"
    elif tally.tried == 0:
        verdict = "assumption not met"
    elif not twin.counter_example:
        verdict = "no teeth"
    elif claim.attained and tally.worst < 0.99:
        verdict = "not sharp"
    else:
        verdict = "holds"
    return Verdict(
        claim.id,
        claim.statement,
        claim.assumptions,
        claim.source,
        verdict,
        ", ".join(sorted(tally.families)) or "its own",
        tally.tried,
        tally.outside,
        tally.reason,
        tally.worst,
        *quantiles(tally.effectivities.get("", [])),
        {of: (len(found), *quantiles(found)) for of, found in sorted(tally.effectivities.items()) if of},
        tally.counter_example or tally.worst_example,
        f"{claim.twin}: {'refuted by ' + twin.counter_example if twin.counter_example else 'SURVIVED'}",
        time.perf_counter() - begin,
    )


def counter_example(claim: Claim, examples: int) -> str:
    """The first example that violates a claim, as it was drawn, or nothing: all that a mutant has to be caught by."""
    return _search(claim, claim.sides, examples, GENERATE).counter_example


def _search(claim: Claim, sides: Callable[..., Sides], examples: int, phases: tuple[Phase, ...]) -> Tally:
    tally = Tally()

    # A fixed seed: a verdict is a fact about the code, not about the day or the process.
    @seed(SEED)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=False,
        phases=phases,
        report_multiple_bugs=False,
        print_blob=False,
        suppress_health_check=list(HealthCheck),  # pyright: ignore[reportArgumentType]
    )
    @given(claim.examples)
    def run(example: tuple[Any, ...]) -> None:
        reason = claim.outside(*example)
        if reason is not None:
            tally.outside += 1
            tally.reason = reason
            return
        tally.tried += 1
        tally.families.update(_family(part) for part in example if not isinstance(part, int | float | Solver))
        try:
            found = sides(*example)
        except (*OF_THE_CHECK, HypothesisException):
            raise
        except Exception as error:
            if sides is not claim.sides:  # a twin has to be refuted by its numbers
                raise
            tally.counter_example = f"{example!r}: {in_a_line(error)}"
            raise Violation(tally.counter_example) from error
        if not holds(found, claim.rounding):
            tally.counter_example = f"{example!r}: {found.lhs:.6g} > {found.rhs:.6g}"
            raise Violation(tally.counter_example)
        size = ratio(found, claim.rounding)
        if (exaggerated := effectivity(found, claim.rounding)) is not None:
            said = found.first[1] if found.first else found.rhs
            of = ["", _family(example[0]), *(["bound < scale"] if said < found.scale else [])]
            for name in of:
                tally.effectivities.setdefault(name, []).append(exaggerated)
        if size > tally.worst or not tally.worst_example:
            tally.worst, tally.worst_example = size, repr(example)

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Hypothesis remarks on how it was called
            run()
    except (Violation, Unsatisfiable):
        pass
    return tally


def _family(part: object) -> str:
    """The family of an instance: the call that makes it, without its arguments."""
    return repr(part).split("(")[0].lower()
