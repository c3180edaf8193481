"""Exact linear algebra, and proofs of positive definiteness."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from theory_checks.worst_cases.rational import null_space, particular_solution, proves_positive_definite

entries = st.fractions(-3, 3, max_denominator=7)
matrices = st.integers(1, 4).flatmap(
    lambda columns: st.lists(st.lists(entries, min_size=columns, max_size=columns), min_size=1, max_size=4)
)


def product(rows, x):
    return [sum((a * b for a, b in zip(row, x, strict=True)), Fraction(0)) for row in rows]


@given(matrices)
def test_the_null_space_is_exact(rows):
    free, basis = null_space(rows, len(rows[0]))
    for column, direction in zip(free, basis, strict=True):
        assert not any(product(rows, direction))
        assert [direction[other] for other in free] == [int(other == column) for other in free]


def test_the_null_space_of_no_equations_is_everything():
    assert null_space([], 2) == ([0, 1], [[1, 0], [0, 1]])


@given(matrices, st.data())
def test_a_particular_solution_solves(rows, data):
    columns = len(rows[0])
    x = data.draw(st.lists(entries, min_size=columns, max_size=columns))
    found = particular_solution(rows, product(rows, x), columns)
    assert found is not None
    assert product(rows, found) == product(rows, x)


def test_a_contradiction_has_no_solution():
    assert particular_solution([[Fraction(1)], [Fraction(2)]], [Fraction(1), Fraction(1)], 1) is None


@pytest.mark.parametrize(
    ("excess", "proved"), [(Fraction(1, 10**40), True), (Fraction(0), False), (Fraction(-1, 10**40), False)]
)
def test_positivity_is_decided_far_below_the_rounding_of_doubles(excess, proved):
    third = Fraction(1, 3)
    assert proves_positive_definite([[third, third], [third, third + excess]]) is proved
