"""C10. Proximity operators of strongly convex functions."""

# PEPit's operators return "Point | Expression" whatever they are given.
# pyright: reportOperatorIssue=false, reportArgumentType=false
from __future__ import annotations

from functools import partial
from itertools import product

from PEPit import PEP
from PEPit.functions import StronglyConvexFunction
from PEPit.primitive_steps import proximal_step

from ..case import Case


def prox_pair(tau: float, ridge: float) -> PEP:
    """``‖2(1 + τγ)(Px − Py) − (x − y)‖`` for ``‖x − y‖ ≤ 1``: at most 1 if and only if the claim holds."""
    problem = PEP()
    g = problem.declare_function(StronglyConvexFunction, mu=ridge)
    x, y = problem.set_initial_point(), problem.set_initial_point()
    difference = proximal_step(x, g, tau)[0] - proximal_step(y, g, tau)[0]
    problem.set_initial_condition((x - y) ** 2 <= 1)
    problem.set_performance_metric((2 * (1 + tau * ridge) * difference - (x - y)) ** 2)
    return problem


CASES = tuple(
    Case(
        "C10",
        "(1+τγ)‖Px − Py‖² ≤ ⟨Px − Py, x − y⟩, as ‖2(1+τγ)(Px − Py) − (x − y)‖ ≤ ‖x − y‖",
        "g γ-strongly convex, P = prox_{τg}",
        (("τ", tau), ("γ", ridge)),
        1.0,
        partial(prox_pair, tau, ridge),
    )
    for tau, ridge in product((0.5, 1.0, 2.0), (0.0, 0.02, 0.5))
)
