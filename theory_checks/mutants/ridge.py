"""Mutants of the derivative bounds of ridge regularisers."""

from __future__ import annotations

import dataclasses
import math
import sys
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from bench.regularisers.filter_chain import FilterChain
from bench.regularisers.ridge_bounds import RidgeBounds
from bench.regularisers.ridge_potential import CoefficientChanges, RidgePotential
from solvers import DerivativeChange

from ..engine import Mutant, mutant

BOUNDS = sys.modules["bench.regularisers.ridge_bounds"]
CHANGE, CHANGES, SUM = RidgeBounds.change, RidgePotential.changes, BOUNDS.largest_sum
SIZES, DISPLACEMENT = RidgeBounds.adjoint_sizes, RidgeBounds.displacement
ROWS, AT = FilterChain.row_norms, FilterChain.derivative_at


def _shorter_rows(self: FilterChain, height: int, width: int) -> Tensor:
    """Coefficients that move half as far."""
    return ROWS(self, height, width) / 2


def _half_a_jump(self: RidgePotential, z: Tensor, d: Tensor) -> CoefficientChanges:
    """Half the jump of a slope."""
    right = CHANGES(self, z, d)
    return dataclasses.replace(right, slope=right.slope / 2)


def _kernels_left_out(self: FilterChain, values: Sequence[Tensor]) -> float:
    return 0.0 * AT(self, values)


def _without_strength(self: RidgeBounds, x: Tensor, u: Tensor, radius: float) -> DerivativeChange:
    """``e^{α−s}`` for e^α, in J."""
    right = CHANGE(self, x, u, radius)
    return dataclasses.replace(right, J=right.J / self.scale)


def _gain_without_inverse(self: RidgeBounds, x: Tensor, u: Tensor, radius: float) -> DerivativeChange:
    """Without the ``1/(1−L)`` of a flat direction."""
    right = CHANGE(self, x, u, radius)
    return right if right.gain == math.inf else dataclasses.replace(right, gain=right.gain * (1 - self.L))


def _half_a_sum(values: Tensor, gap: Tensor, distance: float) -> float:
    return SUM(values, gap, distance) / 2


def _sizes_of_one(self: RidgeBounds) -> tuple[float, float] | None:
    """As if R curved in no direction less than in the others."""
    right = SIZES(self)
    return None if right is None else (right[1], right[1])


def _displacement_without_steepness(self: RidgeBounds) -> float | None:
    """For a slope of h of at most 1."""
    right = DISPLACEMENT(self)
    return None if right is None else right / math.sqrt(max(1.0, self.potential.steepness))


def _of_ridge(name: str, owner: Any, attribute: str, wrong: Any, claim: str = "C45") -> Mutant:
    return mutant(name, owner, attribute, wrong, claim)


RIDGE_MUTANTS: tuple[Mutant, ...] = (
    _of_ridge(
        "coefficients of a ridge regulariser move half as far", FilterChain, "row_norms", _shorter_rows
    ),
    _of_ridge("half the jump of a slope at a kink", RidgePotential, "changes", _half_a_jump),
    _of_ridge("no change of B by the kernels at x", FilterChain, "derivative_at", _kernels_left_out),
    _of_ridge("J of a ridge regulariser by e^(α−s)", RidgeBounds, "change", _without_strength),
    _of_ridge(
        "the gain of a ridge regulariser without 1/(1−L)",
        RidgeBounds,
        "change",
        _gain_without_inverse,
        "C46",
    ),
    _of_ridge("adjoints as small where R is flat", RidgeBounds, "adjoint_sizes", _sizes_of_one, "C46"),
    _of_ridge(
        "the move of a minimiser without the slope of h",
        RidgeBounds,
        "displacement",
        _displacement_without_steepness,
        "C47",
    ),
    _of_ridge("half the sum over coefficients that flip", BOUNDS, "largest_sum", _half_a_sum),
)
