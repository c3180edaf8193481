"""Small problems with exactly known constants, and the quantities computed from them by dense algebra."""

from .exact import ExactSolution, solve_exactly, solver_gradient, two_norm
from .synthetic import FAMILIES, Case, ParametricMap, QuadraticLoss

__all__ = [
    "FAMILIES",
    "Case",
    "ExactSolution",
    "ParametricMap",
    "QuadraticLoss",
    "solve_exactly",
    "solver_gradient",
    "two_norm",
]
