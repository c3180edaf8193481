"""Solve a programme in doubles with Clarabel, for its value and its multipliers."""

# Clarabel is compiled and has no stubs.
# pyright: reportAttributeAccessIssue=false
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import clarabel
import numpy as np
from scipy import sparse

from .programme import Form, Programme

TOLERANCE = 1e-12
"""Gap and residuals asked of Clarabel; it stops where rounding lets it get no further."""
ROOT = 2**0.5
REFINEMENTS = 2
"""How often the units are made anew."""
SMALLEST = 1e-4
"""Smallest unit of a point, as a share of the largest."""


class Unsolved(RuntimeError):  # noqa: N818
    """The solver found no solution: the worst case is infinite, or the programme is badly scaled."""


@dataclass(frozen=True, slots=True)
class Solution:
    """What Clarabel returned, in doubles: neither the value nor a sign is proved.

    Attributes:
        value: the maximum.
        multipliers: of the inequalities, then of the equalities.
        matrices: the symmetric multiplier of each matrix.
        sizes: the norm of each point in ``points``.
    """

    value: float
    multipliers: tuple[float, ...]
    matrices: tuple[np.ndarray, ...]
    sizes: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Units:
    """Units in which a programme is solved, so that all unknowns are near 1.

    Attributes:
        points: s, for each kept point.
        metric: for the metric.
    """

    points: tuple[float, ...]
    metric: float


def solve(programme: Programme, points: Sequence[int]) -> tuple[Solution, Units]:
    """Maximise the metric, with all points outside ``points`` at zero, and again in units of that solution.

    Raises:
        Unsolved: there is no solution.
    """
    units = Units((1.0,) * len(points), 1.0)
    solution = solve_in(units, programme, points)
    for _ in range(REFINEMENTS):
        largest = max(solution.sizes)
        sizes = tuple(max(size, SMALLEST * largest) for size in solution.sizes)
        units = Units(sizes, abs(solution.value) or 1.0)
        solution = solve_in(units, programme, points)
    return solution, units


def solve_in(units: Units, programme: Programme, points: Sequence[int], penalty: float = 0.0) -> Solution:
    """Maximise ``metric + penalty · unit of the metric · Σ (‖p_i‖/s_i)²``.

    With a penalty, the slack of the multipliers of the programme itself is at least that penalty times ``diag(1/s²)``.

    Raises:
        Unsolved: there is no solution.
    """
    layout = _Layout(programme, points, units.points)
    forms = programme.constraints
    rows = [layout.row(form) for form in forms]
    offsets = [-float(form.constant) for form in forms]
    cones: list[object] = [
        clarabel.NonnegativeConeT(len(programme.inequalities)),
        clarabel.ZeroConeT(len(programme.equalities)),
        clarabel.PSDTriangleConeT(len(points)),
    ]
    rows += [layout.entry(i, j) for j in range(len(points)) for i in range(j + 1)]
    offsets += [0.0] * layout.triangle
    for matrix in programme.matrices:
        for j in range(len(matrix)):
            for i in range(j + 1):
                scale, pair = 0.5 if i == j else ROOT / 2, (matrix[i][j], matrix[j][i])
                rows.append(-scale * (layout.row(pair[0]) + layout.row(pair[1])))
                offsets.append(scale * float(pair[0].constant + pair[1].constant))
        cones.append(clarabel.PSDTriangleConeT(len(matrix)))
    objective = -layout.row(programme.metric) / units.metric
    for i in range(len(points)):
        objective[layout.place(i, i)] -= penalty
    found = _clarabel(objective, np.array(rows), np.array(offsets), cones)
    gram = _unpack(np.array(found.x)[: layout.triangle], len(points))
    sizes = np.array(units.points) * np.sqrt(np.clip(np.diag(gram), 0, None))
    scalars, matrices = _multipliers(np.array(found.z) * units.metric, programme, layout.triangle)
    value = float(programme.metric.constant) - found.obj_val * units.metric
    return Solution(value, scalars, matrices, tuple(float(size) for size in sizes))


def _clarabel(objective: np.ndarray, rows: np.ndarray, offsets: np.ndarray, cones: list[object]) -> Any:
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = TOLERANCE
    settings.max_threads = 1
    quadratic = sparse.csc_matrix((len(objective), len(objective)))
    found = clarabel.DefaultSolver(
        quadratic, objective, sparse.csc_matrix(rows), offsets, cones, settings
    ).solve()
    if "Infeasible" in str(found.status) or not np.isfinite(found.obj_val):
        raise Unsolved(f"the solver says {found.status}")
    return found


def _multipliers(
    multipliers: np.ndarray, programme: Programme, triangle: int
) -> tuple[tuple[float, ...], tuple[np.ndarray, ...]]:
    count = len(programme.constraints)
    place, matrices = count + triangle, list[np.ndarray]()
    for matrix in programme.matrices:
        size = len(matrix) * (len(matrix) + 1) // 2
        matrices.append(_unpack(multipliers[place : place + size], len(matrix)))
        place += size
    return tuple(float(value) for value in multipliers[:count]), tuple(matrices)


class _Layout:
    """Where entries of G and F stand in the vector of unknowns: the scaled upper triangle of G by columns, then F."""

    def __init__(self, programme: Programme, points: Sequence[int], scales: Sequence[float]) -> None:
        self.scales = scales
        self.local = {point: i for i, point in enumerate(points)}
        forms = [programme.metric, *programme.constraints]
        forms += [entry for matrix in programme.matrices for row in matrix for entry in row]
        used = sorted({value for form in forms for value in form.values})
        self.triangle = len(points) * (len(points) + 1) // 2
        self.value_places = {value: self.triangle + k for k, value in enumerate(used)}
        self.size = self.triangle + len(used)

    def place(self, i: int, j: int) -> int:
        """Where G_ij stands, ``i ≤ j`` counted among the kept points."""
        return j * (j + 1) // 2 + i

    def row(self, form: Form) -> np.ndarray:
        """The coefficients of a form, without its constant."""
        row = np.zeros(self.size)
        for (i, j), weight in form.gram.items():
            if i in self.local and j in self.local:
                a, b = sorted((self.local[i], self.local[j]))
                row[self.place(a, b)] += (
                    float(weight) * self.scales[a] * self.scales[b] / (1.0 if a == b else ROOT)
                )
        for value, weight in form.values.items():
            row[self.value_places[value]] += float(weight)
        return row

    def entry(self, i: int, j: int) -> np.ndarray:
        """The row that puts an entry of G into its cone."""
        row = np.zeros(self.size)
        row[self.place(i, j)] = -1.0
        return row


def _unpack(triangle: np.ndarray, order: int) -> np.ndarray:
    matrix = np.zeros((order, order))
    for j in range(order):
        for i in range(j + 1):
            value = triangle[j * (j + 1) // 2 + i] / (1.0 if i == j else ROOT)
            matrix[i, j] = matrix[j, i] = value
    return matrix
