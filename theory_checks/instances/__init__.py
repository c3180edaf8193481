"""Small problems with exactly known constants, and the quantities computed from them by dense algebra."""

from .exact import (
    ExactSolution,
    cotangents,
    iterate,
    jacobians,
    power_sum,
    solve_exactly,
    solver_gradient,
    theta_gradient,
    two_norm,
)
from .synthetic import (
    F64,
    FAMILIES,
    AffineMap,
    Case,
    LinearLoss,
    ParametricMap,
    QuadraticLoss,
    standard_normal,
)

__all__ = [
    "F64",
    "FAMILIES",
    "AffineMap",
    "Case",
    "ExactSolution",
    "LinearLoss",
    "ParametricMap",
    "QuadraticLoss",
    "cotangents",
    "iterate",
    "jacobians",
    "power_sum",
    "solve_exactly",
    "solver_gradient",
    "standard_normal",
    "theta_gradient",
    "two_norm",
]
