"""A proof of a worst case that does not trust the solver that found it.

For multipliers ``λ ≥ 0`` of ``inequalities ≤ 0``, any μ of ``equalities = 0`` and ``Z ⪰ 0`` of ``matrices ⪰ 0`` with

    metric = u + Σ λ_i inequality_i + Σ μ_j equality_j − Σ ⟨Z_k, matrix_k⟩ − ⟨S, G⟩   for all G and F,   S ⪰ 0,

the metric is at most u (weak duality). The multipliers of the solver are rounded to fractions and corrected so that F
cancels exactly; then u and S are fractions too, and only ``S ⪰ 0`` is left to check, in ball arithmetic (Arb).

A translation of all points, or a linear function added to f and subtracted from g, changes no constraint. In such a
direction n every S in which F cancels vanishes: ``S n = 0`` is checked exactly, and positivity on the other points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product

import numpy as np

from .programme import Form, Programme
from .rational import null_space, particular_solution, proves_positive_definite, weighted_sum
from .solve import Solution, Units, Unsolved, solve_in

PENALTIES = (1e-10, 1e-9, 1e-8, 1e-7)
"""Margins of S that are tried, the smallest first; each loosens the bound by its share for each point."""
NEAR = Fraction(1, 10**7)
"""Share of the value within which a proved bound is good enough."""


class Unproven(RuntimeError):  # noqa: N818
    """The rounded multipliers prove nothing."""


@dataclass(frozen=True, slots=True)
class Invariance:
    """Directions in which every slack vanishes.

    Attributes:
        kept: the points that are left when one point for each direction is set to zero.
        directions: a basis, with an entry for every point.
    """

    kept: tuple[int, ...]
    directions: tuple[tuple[Fraction, ...], ...]


def invariance(programme: Programme) -> Invariance:
    """The common null space of all slacks in which F cancels, in exact arithmetic."""
    forms = [programme.metric, *programme.constraints]
    forms += [_symmetric(m, i, j) for m in programme.matrices for i in range(len(m)) for j in range(i + 1)]
    used = sorted({value for form in forms for value in form.values})
    _, weights = null_space(
        [[form.values.get(value, Fraction(0)) for form in forms] for value in used], len(forms)
    )
    rows: list[list[Fraction]] = []
    for combination in weights:
        gram = weighted_sum(zip(combination, (form.gram for form in forms), strict=True))
        rows += [row for row in _dense(gram, programme.points) if any(row)]
    fixed, directions = null_space(rows, programme.points)
    kept = tuple(point for point in range(programme.points) if point not in fixed)
    return Invariance(kept, tuple(tuple(direction) for direction in directions))


def prove(programme: Programme, directions: Invariance, value: float, units: Units) -> Fraction:
    """The least upper bound of the metric that a margin proves, in exact and ball arithmetic.

    Args:
        programme: what is maximised.
        directions: its invariance.
        value: its maximum in doubles; a bound that is near enough ends the search.
        units: of its solution; units of 1 are tried too.

    Raises:
        Unproven: no margin gave multipliers that prove a bound.
    """
    reason, bounds = "", list[Fraction]()
    for penalty, tried in product(PENALTIES, (units, Units((1.0,) * len(units.points), units.metric))):
        try:
            bounds.append(
                bound_of(programme, directions, solve_in(tried, programme, directions.kept, penalty))
            )
        except (Unproven, Unsolved) as error:
            reason = str(error)
        if bounds and bounds[-1] - Fraction(value) < NEAR * abs(Fraction(value)):
            break
    if not bounds:
        raise Unproven(reason)
    return min(bounds)


def bound_of(programme: Programme, directions: Invariance, solution: Solution) -> Fraction:
    """The upper bound u that multipliers prove.

    Raises:
        Unproven: F does not cancel, or S is not proved to be positive semi-definite.
    """
    matrices = [_semidefinite(Z) for Z in solution.matrices]
    terms = [(-weight, form) for weight, form in _matrix_terms(programme, matrices)]
    multipliers = _balanced(programme, _rounded(programme, solution), terms)
    terms += list(zip(multipliers, programme.constraints, strict=True))
    gram = weighted_sum([*((w, form.gram) for w, form in terms), (Fraction(-1), programme.metric.gram)])
    S = _dense(gram, programme.points)
    for direction in directions.directions:
        if any(sum(a * b for a, b in zip(row, direction, strict=True)) for row in S):
            raise Unproven("S does not vanish in a direction of invariance")
    if not proves_positive_definite([[S[i][j] for j in directions.kept] for i in directions.kept]):
        raise Unproven("S is not proved to be positive semi-definite")
    return programme.metric.constant - sum((weight * form.constant for weight, form in terms), Fraction(0))


def _rounded(programme: Programme, solution: Solution) -> list[Fraction]:
    count = len(programme.inequalities)
    signed = (max(0.0, value) for value in solution.multipliers[:count])
    return [Fraction(value) for value in (*signed, *solution.multipliers[count:])]


def _balanced(
    programme: Programme, multipliers: list[Fraction], matrix_terms: Sequence[tuple[Fraction, Form]]
) -> list[Fraction]:
    """The multipliers, corrected so that F cancels exactly: equalities first, then the largest of inequalities."""
    terms = [*matrix_terms, *zip(multipliers, programme.constraints, strict=True)]
    left = weighted_sum([*((-w, form.values) for w, form in terms), (Fraction(1), programme.metric.values)])
    count = len(programme.inequalities)
    free = sorted(range(len(multipliers)), key=lambda i: (i < count, -multipliers[i]))
    values = sorted({v for form in programme.constraints for v in form.values} | set(left))
    rows = [[programme.constraints[i].values.get(value, Fraction(0)) for i in free] for value in values]
    correction = particular_solution(rows, [left.get(value, Fraction(0)) for value in values], len(free))
    if correction is None:
        raise Unproven("the function values do not cancel")
    corrected = list(multipliers)
    for i, change in zip(free, correction, strict=True):
        corrected[i] += change
    if min(corrected[:count], default=Fraction(0)) < 0:
        raise Unproven("a multiplier of an inequality is negative")
    return corrected


def _semidefinite(Z: np.ndarray) -> list[list[Fraction]]:
    """``V Vᵀ`` for a rounded V, which is positive semi-definite whatever V is."""
    values, vectors = np.linalg.eigh(Z)
    V = [[Fraction(float(x)) for x in row] for row in vectors * np.sqrt(np.clip(values, 0, None))]
    return [[sum((a * b for a, b in zip(row, other, strict=True)), Fraction(0)) for other in V] for row in V]


def _matrix_terms(
    programme: Programme, multipliers: list[list[list[Fraction]]]
) -> list[tuple[Fraction, Form]]:
    return [
        (Z[i][j], entry)
        for Z, matrix in zip(multipliers, programme.matrices, strict=True)
        for i, row in enumerate(matrix)
        for j, entry in enumerate(row)
    ]


def _symmetric(matrix: tuple[tuple[Form, ...], ...], i: int, j: int) -> Form:
    half, pair = Fraction(1, 2), (matrix[i][j], matrix[j][i])
    return Form(
        weighted_sum((half, form.gram) for form in pair),
        weighted_sum((half, form.values) for form in pair),
        half * (pair[0].constant + pair[1].constant),
    )


def _dense(gram: dict[tuple[int, int], Fraction], points: int) -> list[list[Fraction]]:
    return [[gram.get((i, j), Fraction(0)) for j in range(points)] for i in range(points)]
