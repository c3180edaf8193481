"""C43. One primal–dual iteration in its weighted norm, for every quadratic f, linear K and strongly convex g*."""

# PEPit's operators return "Point | Expression" whatever they are given.
# pyright: reportOperatorIssue=false, reportArgumentType=false, reportReturnType=false
from __future__ import annotations

from functools import partial
from itertools import product

from PEPit import PEP, Expression, Point, null_point
from PEPit.functions import StronglyConvexFunction
from PEPit.operators import LinearOperator, SymmetricLinearOperator
from PEPit.primitive_steps import proximal_step

from bench.operators.primal_dual_factor import Curvatures, gradient_factor, prox_factor

from ..case import Case


def primal_dual_step(tau: float, sigma: float, given: Curvatures, by_prox: bool) -> PEP:
    """``‖(x, w)‖_P`` for ``‖(e, v)‖_P ≤ 1``: differences of two states, before and after.

    Two states see two points of g* alone, which may be moved to the minimiser of g* and another.
    """
    problem = PEP()
    K = problem.declare_function(LinearOperator, L=given.norm_squared**0.5)
    H = problem.declare_function(SymmetricLinearOperator, mu=given.least, L=given.largest)
    g = problem.declare_function(StronglyConvexFunction, mu=given.dual)
    g.add_point((null_point, null_point, Expression()))

    def squared_norm(s: Point, u: Point) -> Expression:
        return s**2 / tau + 2 * (K.gradient(s) * u) + u**2 / sigma

    e, v = problem.set_initial_point(), problem.set_initial_point()
    problem.set_initial_condition(squared_norm(e, v) <= 1)
    w, _, _ = proximal_step(v + sigma * K.gradient(e), g, sigma)
    back = K.T.gradient(2 * w - v)
    if by_prox:
        slope = Point()
        x = e - tau * (slope + back)
        H.add_point((x, slope, Expression()))
    else:
        x = e - tau * (H.gradient(e) + back)
    problem.set_performance_metric(squared_norm(x, w))
    return problem


def _case(tau: float, sigma: float, given: Curvatures, by_prox: bool) -> Case:
    factor = prox_factor if by_prox else gradient_factor
    return Case(
        "C43",
        f"‖T(a) − T(b)‖_P ≤ L ‖a − b‖_P, {'prox of f' if by_prox else 'gradient step'}",
        "f quadratic, μI ≤ ∇²f ≤ βI; g* κ-strongly convex; ‖K‖ ≤ 1",
        (("μ", given.least), ("β", given.largest), ("κ", given.dual), ("τ", tau), ("σ", sigma)),
        factor(tau, sigma, given),
        partial(primal_dual_step, tau, sigma, given, by_prox),
    )


CASES = tuple(
    _case(tau, sigma, Curvatures(0.1, 1.0, dual, 1.0), by_prox)
    for (tau, sigma, dual), by_prox in product(
        ((0.5, 0.5, 1.0), (1.0, 0.2, 0.5), (1.0, 0.2, 0.45), (1.25, 0.05, 10.0), (0.2, 0.5, 0.1)),
        (False, True),
    )
)
