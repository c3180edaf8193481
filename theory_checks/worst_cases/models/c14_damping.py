"""C14. Damped iterations of every L-Lipschitz map."""

# PEPit's operators return "Point | Expression" whatever they are given.
# pyright: reportOperatorIssue=false, reportArgumentType=false, reportReturnType=false
from __future__ import annotations

from functools import partial
from itertools import product

from PEPit import PEP, Point
from PEPit.operators import LipschitzOperator

from ..case import Case


def damped(L: float, weight: float, N: int) -> PEP:
    """``‖T_λ^N a − T_λ^N b‖`` for ``‖a − b‖ ≤ 1``; b is the fixed point if N > 1."""
    problem = PEP()
    T = problem.declare_function(LipschitzOperator, L=L)

    def step(x: Point) -> Point:
        return (1 - weight) * x + weight * T.gradient(x)

    a = problem.set_initial_point()
    b = problem.set_initial_point() if N == 1 else T.fixed_point()[0]
    problem.set_initial_condition((a - b) ** 2 <= 1)
    for _ in range(N):
        a = step(a)
    problem.set_performance_metric((a - (step(b) if N == 1 else b)) ** 2)
    return problem


CASES = tuple(
    Case(
        "C14",
        "‖T_λ^N a − T_λ^N b‖ ≤ (1 − λ(1−L))^N ‖a − b‖",
        "T L-Lipschitz",
        (("L", L), ("λ", weight), ("N", N)),
        (1 - weight * (1 - L)) ** N,
        partial(damped, L, weight, N),
    )
    for L, weight, N in product((0.5, 0.9, 0.98), (0.5, 1.0), (1, 2, 3))
)
