"""C12. Gradient descent with errors of the gradient, for every smooth F.

The start of a descent is not bounded, and descents from far away differ by no more: for the distance, ``‖F'(θ₀)‖ ≤ 1``.
"""

# PEPit's operators return "Point | Expression" whatever they are given.
# pyright: reportOperatorIssue=false, reportArgumentType=false
from __future__ import annotations

from functools import partial
from itertools import product

from PEPit import PEP, Expression
from PEPit.functions import SmoothFunction, SmoothStronglyConvexFunction

from ..case import Case


def distance_of_trajectories(m: float, G: float, eta: float, T: int) -> PEP:
    """``‖θ_T − θ'_T‖`` after T steps with errors of norm at most 1, and without."""
    problem = PEP()
    F = problem.declare_function(SmoothStronglyConvexFunction, mu=m, L=G)
    start = problem.set_initial_point()
    problem.set_initial_condition(F.gradient(start) ** 2 <= 1)
    inexact = exact = start
    for _ in range(T):
        error = problem.set_initial_point()
        problem.set_initial_condition(error**2 <= 1)
        inexact, exact = inexact - eta * (F.gradient(inexact) + error), exact - eta * F.gradient(exact)
    problem.set_performance_metric((inexact - exact) ** 2)
    return problem


def one_step(G: float, eta: float) -> PEP:
    """``F(θ⁺) − F(θ) + η/2 ‖F'(θ)‖²`` for an error of norm at most 1."""
    problem = PEP()
    F = problem.declare_function(SmoothFunction, L=G)
    theta, error = problem.set_initial_point(), problem.set_initial_point()
    problem.set_initial_condition(error**2 <= 1)
    slope, value = F.oracle(theta)
    after = F.value(theta - eta * (slope + error))
    problem.set_performance_metric(after - value + eta / 2 * slope**2)
    return problem


def stationarity(G: float, eta: float, T: int) -> PEP:
    """``η Σ_{t<T−1} (‖F'(θ_t)‖² − e_t²) + ‖F'(θ_{T−1})‖²/G`` for ``F(θ₀) − inf F ≤ 1``."""
    problem = PEP()
    F = problem.declare_function(SmoothFunction, L=G)
    theta, lowest = problem.set_initial_point(), Expression()
    slope, value = F.oracle(theta)
    problem.set_initial_condition(value - lowest <= 1)
    # Necessary and sufficient for ``lowest`` to bound a smooth interpolant from below.
    problem.add_constraint(lowest <= value - slope**2 / (2 * G))
    total = 0.0
    for _ in range(T - 1):
        error = problem.set_initial_point()
        total += eta * (slope**2 - error**2)
        theta = theta - eta * (slope + error)
        slope, value = F.oracle(theta)
        problem.add_constraint(lowest <= value - slope**2 / (2 * G))
    problem.set_performance_metric(total + slope**2 / G)
    return problem


def last_value(m: float, G: float, eta: float, T: int, gap: float) -> PEP:
    """``F(θ_T) − F*`` for ``F(θ₀) − F* ≤ gap`` and errors of norm at most 1."""
    problem = PEP()
    F = problem.declare_function(SmoothStronglyConvexFunction, mu=m, L=G)
    lowest = F.value(F.stationary_point())
    theta = problem.set_initial_point()
    problem.set_initial_condition(F.value(theta) - lowest <= gap)
    for _ in range(T):
        error = problem.set_initial_point()
        problem.set_initial_condition(error**2 <= 1)
        theta = theta - eta * (F.gradient(theta) + error)
    problem.set_performance_metric(F.value(theta) - lowest)
    return problem


def _distance(m: float, eta: float, T: int) -> Case:
    rate = 1 - eta * m
    return Case(
        "C12",
        "‖θ_T − θ'_T‖ ≤ η Σ_t ϱ^(T−1−t) e_t",
        "F m-strongly convex (convex: m = 0), G-smooth",
        (("m", m), ("G", 1.0), ("η", eta), ("T", T)),
        eta * sum(rate**t for t in range(T)),
        partial(distance_of_trajectories, m, 1.0, eta, T),
    )


def _last_value(m: float, eta: float, T: int, gap: float) -> Case:
    kept = (1 - eta * m) ** T
    return Case(
        "C12",
        "F(θ_T) − F* ≤ (1−ηm)^T (F(θ₀) − F*) + (1 − (1−ηm)^T) ε²/(2m)",
        "F m-strongly convex, G-smooth (PL)",
        (("m", m), ("G", 1.0), ("η", eta), ("T", T), ("F(θ₀) − F*", gap), ("ε", 1.0)),
        kept * gap + (1 - kept) / (2 * m),
        partial(last_value, m, 1.0, eta, T, gap),
        squared=False,
    )


CASES = (
    *(_distance(*example) for example in product((0.0, 0.1, 0.5), (0.3, 1.0), (1, 2, 3))),
    *(
        Case(
            "C12",
            "F(θ⁺) ≤ F(θ) − η/2 ‖F'(θ)‖² + η/2 e²",
            "F G-smooth",
            (("G", 1.0), ("η", eta)),
            eta / 2,
            partial(one_step, 1.0, eta),
            squared=False,
        )
        for eta in (0.3, 0.7, 0.9)
    ),
    *(
        Case(
            "C12",
            "η Σ_{t<T−1} ‖F'(θ_t)‖² + ‖F'(θ_{T−1})‖²/G ≤ 2(F(θ₀) − inf F) + η Σ_{t<T−1} e_t²",
            "F G-smooth",
            (("G", 1.0), ("η", eta), ("T", T)),
            2.0,
            partial(stationarity, 1.0, eta, T),
            squared=False,
        )
        for eta, T in product((0.3, 0.7, 0.9), (1, 2, 3))
    ),
    *(
        _last_value(m, eta, T, gap / (2 * m))
        for m, eta, T, gap in product((0.1, 0.5), (0.3, 1.0), (1, 2, 4), (1.0, 4.0))
    ),
)
