"""C3, C4, C40. The K-term series in place of ``u = v + Jᵀu``, for every linear J with ``‖J‖ ≤ L``."""

# PEPit's operators return "Point | Expression" whatever they are given.
# pyright: reportOperatorIssue=false, reportArgumentType=false, reportReturnType=false
from __future__ import annotations

from functools import partial
from itertools import product

from PEPit import PEP, Point
from PEPit.operators import LinearOperator, SymmetricLinearOperator

from bench.operators.douglas_rachford import best_gamma, reflection_factor

from ..case import Case


def series_error(L: float, K: int) -> PEP:
    """``‖u − Σ_{k<K} J^k v‖`` for ``‖v‖ ≤ 1``."""
    problem = PEP()
    J = problem.declare_function(LinearOperator, L=L)
    u = problem.set_initial_point()
    v = u - J.gradient(u)
    problem.set_initial_condition(v**2 <= 1)
    total = v
    for _ in range(K - 1):
        total = v + J.gradient(total)
    problem.set_performance_metric((u - total) ** 2)
    return problem


def error_of_sum(L: float, K: int) -> PEP:
    """``‖u − s‖`` for ``s = Σ_{k<K} J^k v`` and ``‖s‖ ≤ 1``: what C4 bounds by ``‖P_K‖`` where B = I."""
    problem = PEP()
    J = problem.declare_function(LinearOperator, L=L)
    u = problem.set_initial_point()
    rest = u
    for _ in range(K):
        rest = J.gradient(rest)
    problem.set_initial_condition((u - rest) ** 2 <= 1)
    problem.set_performance_metric(rest**2)
    return problem


def splitting_series_error(delta: float, alpha: float, K: int) -> PEP:
    """``series_error`` for ``J = (1 − α)I + α R_g R_f``, ``R_f`` with eigenvalues in ``[−δ, δ]`` and ``‖R_g‖ ≤ 1``."""
    problem = PEP()
    first = problem.declare_function(SymmetricLinearOperator, mu=-delta, L=delta)
    second = problem.declare_function(LinearOperator, L=1.0)

    def J(w: Point) -> Point:
        return (1 - alpha) * w + alpha * second.gradient(first.gradient(w))

    u = problem.set_initial_point()
    v = u - J(u)
    problem.set_initial_condition(v**2 <= 1)
    total = v
    for _ in range(K - 1):
        total = v + J(total)
    problem.set_performance_metric((u - total) ** 2)
    return problem


def _splitting(curvatures: tuple[float, float], alpha: float, K: int) -> Case:
    delta = reflection_factor(curvatures, best_gamma(curvatures))
    L = abs(1 - alpha) + alpha * delta
    return Case(
        "C40",
        "‖u − Σ_{k<K} J^k v‖ ≤ δ_α^K/(1−δ_α) ‖v‖",
        "J = (1−α)I + α R_g R_f, R_f symmetric, ‖R_f‖ ≤ δ, ‖R_g‖ ≤ 1",
        (("σ", curvatures[0]), ("β", curvatures[1]), ("α", alpha), ("K", K)),
        L**K / (1 - L),
        partial(splitting_series_error, delta, alpha, K),
    )


CASES = (
    *(
        Case(
            "C3",
            "‖u − Σ_{k<K} J^k v‖ ≤ L^K/(1−L) ‖v‖",
            "J linear, ‖J‖ ≤ L",
            (("L", L), ("K", K)),
            L**K / (1 - L),
            partial(series_error, L, K),
        )
        for L, K in product((0.5, 0.9, 0.98), (1, 2, 4, 8))
    ),
    *(
        Case(
            "C4",
            "‖(J^K)ᵀu‖ ≤ L^K/(1−L^K) ‖P_Kᵀ v‖, B = I",
            "J linear, ‖J‖ ≤ L",
            (("L", L), ("K", K)),
            L**K / (1 - L**K),
            partial(error_of_sum, L, K),
        )
        for L, K in product((0.5, 0.9, 0.98), (1, 2, 4, 8))
    ),
    *(
        _splitting(curvatures, alpha, K)
        for curvatures, alpha, K in product(((0.04, 1.0), (0.25, 1.0)), (0.5, 1.0), (1, 2, 4))
    ),
)
