"""C9 and C16. Forward–backward, and plug-and-play forward–backward, for every smooth and strongly convex f.

For N = 1 the worst pair of states. For more steps the worst state against a fixed point: a pair may drift without
bound, and N steps contract by no more than N times one step.
"""

# PEPit's operators return "Point | Expression" whatever they are given.
# pyright: reportOperatorIssue=false, reportArgumentType=false
from __future__ import annotations

from functools import partial
from itertools import product

from PEPit import PEP, Expression, Point
from PEPit.functions import SmoothStronglyConvexFunction, StronglyConvexFunction
from PEPit.operators import LipschitzOperator
from PEPit.primitive_steps import proximal_step

from bench.operators import contraction_factor

from ..case import Case


def forward_backward(spectrum: tuple[float, float], tau: float, ridge: float, N: int) -> PEP:
    """``‖T^N a − T^N b‖`` for ``‖a − b‖ ≤ 1``; b is a fixed point if N > 1."""
    problem = PEP()
    f = problem.declare_function(SmoothStronglyConvexFunction, mu=spectrum[0], L=spectrum[1])
    g = problem.declare_function(StronglyConvexFunction, mu=ridge)

    def T(x: Point) -> Point:
        return proximal_step(x - tau * f.gradient(x), g, tau)[0]

    a, b = problem.set_initial_point(), problem.set_initial_point()
    problem.set_initial_condition((a - b) ** 2 <= 1)
    if N > 1:
        g.add_point((b, -f.gradient(b), Expression()))
    for _ in range(N):
        a = T(a)
    problem.set_performance_metric((a - (T(b) if N == 1 else b)) ** 2)
    return problem


def plug_and_play(spectrum: tuple[float, float], tau: float, epsilon: float, N: int) -> PEP:
    """The same for ``T = D ∘ (I − τ∇f)`` with ``D − I`` ε-Lipschitz."""
    problem = PEP()
    f = problem.declare_function(SmoothStronglyConvexFunction, mu=spectrum[0], L=spectrum[1])
    change = problem.declare_function(LipschitzOperator, L=epsilon)

    def T(x: Point) -> Point:
        y = x - tau * f.gradient(x)
        return y + change.gradient(y)

    a, b = problem.set_initial_point(), problem.set_initial_point()
    problem.set_initial_condition((a - b) ** 2 <= 1)
    if N > 1:
        y = b - tau * f.gradient(b)
        change.add_point((y, b - y, Expression()))
    for _ in range(N):
        a = T(a)
    problem.set_performance_metric((a - (T(b) if N == 1 else b)) ** 2)
    return problem


SPECTRUM = (0.1, 1.0)
CASES = (
    *(
        Case(
            "C9",
            "‖T^N a − T^N b‖ ≤ [max(|1−τα|, |1−τβ|)/(1+τγ)]^N ‖a − b‖",
            "f α-strongly convex, β-smooth; g γ-strongly convex",
            (("α", spectrum[0]), ("β", spectrum[1]), ("τ", tau), ("γ", ridge), ("N", N)),
            contraction_factor(spectrum, tau, ridge) ** N,
            partial(forward_backward, spectrum, tau, ridge, N),
        )
        for spectrum, tau, ridge, N in (
            *product((SPECTRUM,), (1.0, 1.9), (0.0, 0.02, 0.5), (1, 2, 3)),
            *product(((0.0, 1.0), (0.01, 1.0)), (1.0,), (0.02,), (1, 2)),
        )
    ),
    *(
        Case(
            "C16",
            "‖T^N a − T^N b‖ ≤ [(1+ε) max(|1−τα|, |1−τβ|)]^N ‖a − b‖",
            "f α-strongly convex, β-smooth; D − I ε-Lipschitz",
            (("α", SPECTRUM[0]), ("β", SPECTRUM[1]), ("τ", tau), ("ε", epsilon), ("N", N)),
            ((1 + epsilon) * contraction_factor(SPECTRUM, tau, 0.0)) ** N,
            partial(plug_and_play, SPECTRUM, tau, epsilon, N),
        )
        for tau, epsilon, N in product((1.0, 1.9), (0.02, 0.5), (1, 2, 3))
    ),
)
