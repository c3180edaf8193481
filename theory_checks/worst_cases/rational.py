"""Exact linear algebra on small matrices of fractions, and a proof that one is positive definite."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import TypeVar

from flint import arb, ctx, fmpq, fmpq_mat

BITS = 256
"""Precision of the balls."""

Key = TypeVar("Key", bound=Hashable)
Matrix = Sequence[Sequence[Fraction]]


def weighted_sum(terms: Iterable[tuple[Fraction, Mapping[Key, Fraction]]]) -> dict[Key, Fraction]:
    """The sum of sparse vectors, each times its weight."""
    total: dict[Key, Fraction] = {}
    for weight, entries in terms:
        if weight:
            for key, entry in entries.items():
                total[key] = total.get(key, Fraction(0)) + weight * entry
    return total


def null_space(rows: Matrix, columns: int) -> tuple[list[int], list[list[Fraction]]]:
    """Basis of ``{x : rows · x = 0}``, and for each direction the column in which it alone is 1.

    Args:
        rows: the equations, with ``columns`` entries each.
        columns: number of unknowns.
    """
    reduced, pivots = _reduce(rows)
    free = [column for column in range(columns) if column not in pivots]
    basis: list[list[Fraction]] = []
    for column in free:
        direction = [Fraction(int(i == column)) for i in range(columns)]
        for row, pivot in enumerate(pivots):
            direction[pivot] = -reduced[row][column]
        basis.append(direction)
    return free, basis


def particular_solution(rows: Matrix, right: Sequence[Fraction], columns: int) -> list[Fraction] | None:
    """A solution of ``rows · x = right`` with zeros where x is free; ``None`` if there is none."""
    reduced, pivots = _reduce([[*row, value] for row, value in zip(rows, right, strict=True)])
    if columns in pivots:
        return None
    solution = [Fraction(0)] * columns
    for row, pivot in enumerate(pivots):
        solution[pivot] = reduced[row][columns]
    return solution


def _reduce(rows: Matrix) -> tuple[list[list[Fraction]], list[int]]:
    """The reduced row echelon form, and its pivot columns."""
    if not rows:
        return [], []
    entries = [fmpq(x.numerator, x.denominator) for row in rows for x in row]
    reduced, rank = fmpq_mat(len(rows), len(rows[0]), entries).rref()
    table = [[_fraction(reduced[i, j]) for j in range(len(rows[0]))] for i in range(rank)]
    return table, [next(j for j, entry in enumerate(row) if entry) for row in table]


def _fraction(value: fmpq) -> Fraction:
    return Fraction(int(value.p), int(value.q))


def proves_positive_definite(matrix: Matrix) -> bool:
    """Whether balls around all pivots of the LDLᵀ of a symmetric matrix are positive; outward rounding, so no error."""
    precision, ctx.prec = ctx.prec, BITS
    try:
        remaining = [[arb(fmpq(x.numerator, x.denominator)) for x in row] for row in matrix]
        for k, row in enumerate(remaining):
            if not row[k] > 0:
                return False
            for i in range(k + 1, len(matrix)):
                factor = remaining[i][k] / row[k]
                for j in range(k + 1, len(matrix)):
                    remaining[i][j] -= factor * row[j]
        return True
    finally:
        ctx.prec = precision
