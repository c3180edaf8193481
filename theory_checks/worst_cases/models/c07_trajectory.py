"""C7. The trajectory term of unrolling, for every T that is affine in x."""

# PEPit's operators return "Point | Expression" whatever they are given.
# pyright: reportOperatorIssue=false, reportArgumentType=false
from __future__ import annotations

from functools import partial
from itertools import product

from PEPit import PEP
from PEPit.operators import LinearOperator

from ..case import Case


def trajectory_term(L: float, K: int, R: int) -> PEP:
    """``‖Σ_{k<K} J^{K−1−k} E J^k z‖`` for ``z = J^{KR}(x0 − x*)``, ``‖x0 − x*‖ ≤ 1`` and ``E = ∂J/∂θ``, ``‖E‖ ≤ 1``.

    It is the difference of ``∂_θ Φ_K`` at ``T^{KR}(x0)`` and at ``x*``, in one parameter θ.
    """
    problem = PEP()
    J = problem.declare_function(LinearOperator, L=L)
    E = problem.declare_function(LinearOperator, L=1.0)
    z = problem.set_initial_point()
    problem.set_initial_condition(z**2 <= 1)
    for _ in range(K * R):
        z = J.gradient(z)
    derivative = E.gradient(z)
    for _ in range(K - 1):
        z = J.gradient(z)
        derivative = J.gradient(derivative) + E.gradient(z)
    problem.set_performance_metric(derivative**2)
    return problem


CASES = tuple(
    Case(
        "C7",
        "‖∂_θΦ_K(T^{KR}(x0)) − ∂_θΦ_K(x*)‖ ≤ K M_B L^(K−1) L^(KR) ‖x0 − x*‖, M_B = 1",
        "T = J(θ)x + c, ‖J‖ ≤ L, ‖∂J/∂θ‖ ≤ 1",
        (("L", L), ("K", K), ("R", R)),
        K * L ** (K - 1) * L ** (K * R),
        partial(trajectory_term, L, K, R),
    )
    for L, (K, R) in product((0.5, 0.9, 0.98), ((1, 0), (2, 0), (4, 0), (2, 1), (3, 1)))
)
