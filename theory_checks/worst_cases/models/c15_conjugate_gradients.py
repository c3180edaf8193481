"""C15. Conjugate gradients and the Neumann series on ``A = I − J``, for every symmetric J, in the norm of A."""

# PEPit's operators return "Point | Expression" whatever they are given.
# pyright: reportOperatorIssue=false, reportArgumentType=false
from __future__ import annotations

from functools import partial
from itertools import product

from PEPit import PEP
from PEPit.functions import SmoothStronglyConvexQuadraticFunction
from PEPit.operators import SymmetricLinearOperator
from PEPit.primitive_steps import exact_linesearch_step

from ...claims.c15_conjugate_gradients import chebyshev_factor
from ..case import Case


def conjugate_gradients(least: float, largest: float, K: int) -> PEP:
    """``‖u − u_K‖_A²/2`` for ``‖u‖_A²/2 ≤ 1``, the eigenvalues of A in ``[least, largest]``.

    u_K minimises the energy over the space of K gradients, as conjugate gradients do.
    """
    problem = PEP()
    f = problem.declare_function(SmoothStronglyConvexQuadraticFunction, mu=least, L=largest)
    lowest = f.value(f.stationary_point())
    start = problem.set_initial_point()
    problem.set_initial_condition(f.value(start) - lowest <= 1)
    x, value, space = start, f.value(start), [f.gradient(start)]
    for _ in range(K):
        x, gradient, value = exact_linesearch_step(x, f, space)
        space = [*space, gradient, x - start]
    problem.set_performance_metric(value - lowest)
    return problem


def series_error(least: float, L: float, K: int) -> PEP:
    """``‖J^K u‖_A²`` for ``‖u‖_A ≤ 1``, the eigenvalues of J in ``[least, L]``."""
    problem = PEP()
    J = problem.declare_function(SymmetricLinearOperator, mu=least, L=L)
    u = problem.set_initial_point()
    image = J.gradient(u)
    problem.set_initial_condition(u * (u - image) <= 1)
    for _ in range(K - 1):
        u, image = image, J.gradient(image)
    problem.set_performance_metric(image * (image - J.gradient(image)))
    return problem


CASES = (
    *(
        Case(
            "C15",
            "‖u − u_K‖_A ≤ 1/cosh(K arcosh((κ+1)/(κ−1))) ‖u‖_A",
            "A symmetric, eigenvalues in [1−L, 1] or [1−L, 1+L]",
            (("L", L), ("κ", largest / (1 - L)), ("K", K)),
            chebyshev_factor(largest / (1 - L), K),
            partial(conjugate_gradients, 1 - L, largest, K),
        )
        for L, K in product((0.5, 0.9, 0.98), (1, 2, 3, 4))
        for largest in (1.0, 1 + L)
    ),
    *(
        Case(
            "C15",
            "‖J^K u‖_A ≤ L^K ‖u‖_A",
            "J symmetric, eigenvalues in [0, L] or [−L, L]",
            (("L", L), ("least", least), ("K", K)),
            L**K,
            partial(series_error, least, L, K),
        )
        for L, K in product((0.5, 0.9, 0.98), (1, 2, 4))
        for least in (0.0, -L)
    ),
)
