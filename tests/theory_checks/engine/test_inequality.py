"""Whether an inequality holds, and how tight it is."""

from __future__ import annotations

import pytest

from theory_checks.engine.inequality import Sides, conjunction, disjunction, effectivity, holds


@pytest.mark.parametrize(
    ("sides", "expected"),
    [
        (Sides(0.0, 1.0), None),
        (Sides(1.0, 0.0), None),
        (Sides(1.0, float("inf")), None),
        (Sides(1e-10, 1.0, 1.0), None),
        (Sides(1e-8, 1e-6, 1.0), 100),
        (Sides(1.0, 2.0, 1.0, first=(1.0, 5.0)), 5),
    ],
)
def test_rounding_and_what_is_not_bounded_exaggerate_nothing(sides, expected):
    assert effectivity(sides, 1e-11) == (None if expected is None else pytest.approx(expected))


def test_what_is_not_finite_is_a_violation():
    assert not holds(Sides(float("nan"), 1.0), 0.0)
    assert not holds(Sides(1.0, float("nan")), 0.0)
    assert not holds(Sides(float("inf"), float("inf")), 0.0)
    assert holds(Sides(1.0, float("inf")), 0.0)


def test_a_conjunction_is_violated_by_one_and_a_disjunction_by_all():
    satisfied, tighter, violated = Sides(1.0, 4.0), Sides(1.0, 2.0), Sides(3.0, 2.0)
    assert not holds(conjunction(satisfied, violated, tighter), 0.0)
    assert holds(disjunction(violated, satisfied), 0.0)
    assert not holds(disjunction(violated, violated), 0.0)
    both = conjunction(satisfied, tighter)
    assert (both.rhs, both.first) == (2.0, (1.0, 4.0))
