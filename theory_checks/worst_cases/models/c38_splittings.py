"""C38, C39 and C41. Averaged reflections, and plug-and-play Douglas–Rachford, for every f of their classes."""

# PEPit's operators return "Point | Expression" whatever they are given.
# pyright: reportOperatorIssue=false, reportArgumentType=false
from __future__ import annotations

from functools import partial
from itertools import product

from PEPit import PEP, Expression, Point
from PEPit.functions import ConvexFunction, SmoothStronglyConvexFunction, StronglyConvexFunction
from PEPit.operators import LipschitzOperator
from PEPit.primitive_steps import proximal_step

from bench.operators.douglas_rachford import best_gamma, reflection_factor

from ...claims.c41_plug_and_play_splitting import attained_factor
from ..case import Case


def averaged_reflections(curvatures: tuple[float, float], gamma: float, alpha: float, N: int) -> PEP:
    """``‖T_α^N a − T_α^N b‖`` for ``‖a − b‖ ≤ 1``; b is a fixed point if N > 1."""
    problem = PEP()
    f = problem.declare_function(SmoothStronglyConvexFunction, mu=curvatures[0], L=curvatures[1])
    g = problem.declare_function(ConvexFunction)

    def T(z: Point) -> Point:
        x, _, _ = proximal_step(z, f, gamma)
        return z + 2 * alpha * (proximal_step(2 * x - z, g, gamma)[0] - x)

    a = problem.set_initial_point()
    if N == 1:
        b = problem.set_initial_point()
        problem.set_performance_metric((T(a) - T(b)) ** 2)
    else:
        x = Point()
        slope, _ = f.oracle(x)
        b, z = x + gamma * slope, a
        g.add_point((x, -slope, Expression()))
        for _ in range(N):
            z = T(z)
        problem.set_performance_metric((z - b) ** 2)
    problem.set_initial_condition((a - b) ** 2 <= 1)
    return problem


def reflections(curvatures: tuple[float, float], gamma: float) -> PEP:
    """``‖R_f a − R_f b‖`` for ``‖a − b‖ ≤ 1``."""
    problem = PEP()
    f = problem.declare_function(SmoothStronglyConvexFunction, mu=curvatures[0], L=curvatures[1])
    a, b = problem.set_initial_point(), problem.set_initial_point()
    problem.set_initial_condition((a - b) ** 2 <= 1)
    x, y = (proximal_step(z, f, gamma)[0] for z in (a, b))
    problem.set_performance_metric((2 * (x - y) - (a - b)) ** 2)
    return problem


def denoised_splitting(epsilon: float, m: float) -> PEP:
    """``‖T(a) − T(b)‖`` for ``T(z) = x + (D − I)(2x − z)``, f m-strongly convex, γ = 1 and ``‖a − b‖ ≤ 1``."""
    problem = PEP()
    f = problem.declare_function(StronglyConvexFunction, mu=m)
    change = problem.declare_function(LipschitzOperator, L=epsilon)

    def T(z: Point) -> Point:
        x, _, _ = proximal_step(z, f, 1.0)
        return x + change.gradient(2 * x - z)

    a, b = problem.set_initial_point(), problem.set_initial_point()
    problem.set_initial_condition((a - b) ** 2 <= 1)
    problem.set_performance_metric((T(a) - T(b)) ** 2)
    return problem


def _averaged(curvatures: tuple[float, float], scale: float, alpha: float, N: int) -> Case:
    gamma = scale * best_gamma(curvatures)
    return Case(
        "C38",
        "‖T_α^N a − T_α^N b‖ ≤ [|1−α| + α max(|1−γσ|/(1+γσ), |1−γβ|/(1+γβ))]^N ‖a − b‖",
        "f σ-strongly convex, β-smooth; g convex",
        (("σ", curvatures[0]), ("β", curvatures[1]), ("γ", gamma), ("α", alpha), ("N", N)),
        (abs(1 - alpha) + alpha * reflection_factor(curvatures, gamma)) ** N,
        partial(averaged_reflections, curvatures, gamma, alpha, N),
    )


CURVATURES = ((0.04, 1.0), (0.25, 1.0))
CASES = (
    *(_averaged(*example) for example in product(CURVATURES, (1.0, 0.2), (0.5, 1.0, 1.1), (1, 2))),
    *(
        Case(
            "C39",
            "‖R_f a − R_f b‖ ≤ (√κ−1)/(√κ+1) ‖a − b‖ at γ* = 1/√(σβ)",
            "f σ-strongly convex, β-smooth",
            (("σ", sigma), ("β", beta), ("κ", beta / sigma)),
            ((beta / sigma) ** 0.5 - 1) / ((beta / sigma) ** 0.5 + 1),
            partial(reflections, (sigma, beta), best_gamma((sigma, beta))),
        )
        for sigma, beta in (*CURVATURES, (0.01, 1.0))
    ),
    *(
        Case(
            "C41",
            "‖T(a) − T(b)‖ ≤ L ‖a − b‖, L = (1+ε|γμ−1|)/(1+γμ) or √(ε² + 1/(4γμ))",
            "f μ-strongly convex, D − I ε-Lipschitz",
            (("ε", epsilon), ("γμ", m)),
            attained_factor(epsilon, m),
            partial(denoised_splitting, epsilon, m),
        )
        for epsilon, m in product((0.1, 0.5, 0.8), (0.2, 0.7, 1.0, 1.5, 5.0))
    ),
)
