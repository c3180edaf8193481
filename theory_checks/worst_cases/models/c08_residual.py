"""C8. The distance to the fixed point from the residual, for every contraction."""

# PEPit's operators return "Point | Expression" whatever they are given.
# pyright: reportOperatorIssue=false, reportArgumentType=false
from __future__ import annotations

from functools import partial
from itertools import product

from PEPit import PEP
from PEPit.operators import LipschitzOperator

from ..case import Case


def from_residual(L: float, nearest: bool) -> PEP:
    """``‖x − x*‖`` for ``‖x − T(x)‖ ≤ 1``, or ``‖x − T(x)‖`` for ``‖x − x*‖ ≤ 1``."""
    problem = PEP()
    T = problem.declare_function(LipschitzOperator, L=L)
    fixed, _, _ = T.fixed_point()
    x = problem.set_initial_point()
    distance, residual = (x - fixed) ** 2, (x - T.gradient(x)) ** 2
    given, wanted = (distance, residual) if nearest else (residual, distance)
    problem.set_initial_condition(given <= 1)
    problem.set_performance_metric(wanted)
    return problem


CASES = tuple(
    Case(
        "C8",
        "r ≤ (1+L) ‖x − x*‖" if nearest else "‖x − x*‖ ≤ r/(1−L)",
        "T L-Lipschitz",
        (("L", L),),
        1 + L if nearest else 1 / (1 - L),
        partial(from_residual, L, nearest),
    )
    for nearest, L in product((False, True), (0.5, 0.9, 0.98))
)
