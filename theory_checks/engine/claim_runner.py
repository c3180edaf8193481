"""Verify claims on drawn examples."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings, target
from hypothesis.errors import HypothesisException, Unsatisfiable

from bench.utils.errors import in_a_line
from solvers import Solver

from .claim import OUTDATED_CHECK_ERRORS, Claim
from .inequality import Sides, effectivity, holds, side_ratio
from .verdict import ASSUMPTION_NOT_MET, CONTROL_NOT_REFUTED, FAILS, HOLDS, NOT_SHARP, ClaimVerdict

SEED = 250613239
"""Seed of every search: a verdict depends on the code, not on the day or the process."""
GENERATE = (Phase.explicit, Phase.generate)
WITH_SHRINK = (*GENERATE, Phase.shrink)
CLIMB = (*GENERATE, Phase.target, Phase.shrink)
"""With ``Phase.target`` half of the examples climb from the best ones so far, in each family."""
OWN = "its own"
"""The family of examples that are numbers or solvers."""
LEAST_RATIO = 1e-12
"""Ratios below are alike for a search."""
SHARP = 0.99
"""Ratio of the sides at which a bound counts as attained."""


class Violation(AssertionError):  # noqa: N818
    """An example on which a statement is false."""


@dataclass(slots=True)
class ExampleSearch:
    """Statistics collected while examples are drawn.

    Attributes:
        tried: examples that met the assumptions; ``outside`` those that did not, ``reason`` why the last did not.
        worst: largest ratio of the sides, on ``worst_example``.
        effectivities: by family of instances, and under ``""`` of all examples.
        counter_example: the example that violates the statement, or empty.
        families: names of the families that were drawn.
        worst_by_family: largest ratio of the sides in each family.
    """

    tried: int = 0
    outside: int = 0
    reason: str = ""
    worst: float = 0.0
    worst_example: str = ""
    effectivities: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    counter_example: str = ""
    families: set[str] = field(default_factory=set[str])
    worst_by_family: dict[str, float] = field(default_factory=dict[str, float])


def quantiles(values: list[float]) -> tuple[float, float]:
    """Median and 90th percentile: the least of ``values`` not exceeded by 50 % and 90 % of them; nan if empty."""
    if not values:
        return math.nan, math.nan
    last = len(values) - 1
    return sorted(values)[last // 2], sorted(values)[math.ceil(0.9 * last)]


def verify_claim(claim: Claim, examples: int = 100, *, climb: bool = False) -> ClaimVerdict:
    """Check a claim, and refute its negative control, on ``examples`` examples each. Deterministic.

    Args:
        claim: the claim.
        examples: number of examples.
        climb: search among ``hard_examples`` for the largest ratio of the sides, in place of drawing ``examples``.

    Raises:
        AttributeError, NameError, TypeError: the check no longer fits the code.
        Exception: whatever the negative control raises; it must be refuted by its numbers.
    """
    begin = time.perf_counter()
    drawn = claim
    if climb and claim.hard_examples is not None:
        drawn = replace(claim, examples=claim.hard_examples)
    search = _search(drawn, claim.sides, examples, CLIMB if climb else WITH_SHRINK)
    control = _search(claim, claim.negative_control, examples, GENERATE)
    if search.counter_example:
        verdict = FAILS
    elif search.tried == 0:
        verdict = ASSUMPTION_NOT_MET
    elif not control.counter_example:
        verdict = CONTROL_NOT_REFUTED
    elif claim.attained and search.worst < SHARP:
        verdict = NOT_SHARP
    else:
        verdict = HOLDS
    refutation = f"refuted by {control.counter_example}" if control.counter_example else "NOT REFUTED"
    return ClaimVerdict(
        id=claim.id,
        statement=claim.statement,
        assumptions=claim.assumptions,
        source=claim.source,
        verdict=verdict,
        reason=search.reason,
        worst=search.worst,
        detail=search.counter_example or search.worst_example,
        negative_control=f"{claim.false_statement}: {refutation}",
        seconds=time.perf_counter() - begin,
        families=", ".join(sorted(search.families)) or OWN,
        examples=search.tried,
        outside=search.outside,
        median=quantiles(search.effectivities.get("", []))[0],
        ninetieth=quantiles(search.effectivities.get("", []))[1],
        spread={
            family: (len(values), *quantiles(values))
            for family, values in sorted(search.effectivities.items())
            if family
        },
        worst_by_family=dict(sorted(search.worst_by_family.items())) if climb else {},
    )


def counter_example(claim: Claim, examples: int) -> str:
    """The first drawn example that violates a claim, not shrunk, or an empty text. A mutant needs no more."""
    return _search(claim, claim.sides, examples, GENERATE).counter_example


def _search(
    claim: Claim, compute_sides: Callable[..., Sides], examples: int, phases: tuple[Phase, ...]
) -> ExampleSearch:
    search = ExampleSearch()

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
    def check(example: tuple[Any, ...]) -> None:
        reason = claim.outside(*example)
        if reason is not None:
            search.outside += 1
            search.reason = reason
            return
        search.tried += 1
        search.families.update(
            _family(part) for part in example if not isinstance(part, int | float | Solver)
        )
        try:
            sides = compute_sides(*example)
        except (*OUTDATED_CHECK_ERRORS, HypothesisException):
            raise
        except Exception as error:
            # An exception refutes a claim as well as a number does, but it proves nothing about a negative control.
            if compute_sides is not claim.sides:
                raise
            search.counter_example = f"{example!r}: {in_a_line(error)}"
            raise Violation(search.counter_example) from error
        if not holds(sides, claim.rounding):
            search.counter_example = f"{example!r}: {sides.lhs:.6g} > {sides.rhs:.6g}"
            raise Violation(search.counter_example)
        _record_effectivity(search, claim, example, sides)
        ratio = side_ratio(sides, claim.rounding)
        family = OWN if isinstance(example[0], int | float) else _family(example[0])
        search.worst_by_family[family] = max(ratio, search.worst_by_family.get(family, 0.0))
        if Phase.target in phases and math.isfinite(ratio):
            target(math.log(max(ratio, LEAST_RATIO)), label=family)
        if ratio > search.worst or not search.worst_example:
            search.worst, search.worst_example = ratio, repr(example)

    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # Hypothesis warns about a test that is called from inside a test.
            check()
    except (Violation, Unsatisfiable):
        pass
    return search


def _record_effectivity(search: ExampleSearch, claim: Claim, example: tuple[Any, ...], sides: Sides) -> None:
    value = effectivity(sides, claim.rounding)
    if value is None:
        return
    bound = sides.first[1] if sides.first else sides.rhs
    for family in ("", _family(example[0]), *(["bound < scale"] if bound < sides.scale else [])):
        search.effectivities.setdefault(family, []).append(value)


def _family(part: object) -> str:
    """The family of an instance: the name of the call that its repr consists of."""
    return repr(part).split("(")[0].lower()
