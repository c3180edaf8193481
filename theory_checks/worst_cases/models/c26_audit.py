"""C26. The two bounds of an audit, for all vectors."""

# PEPit's operators return "Point | Expression" whatever they are given.
# pyright: reportOperatorIssue=false, reportArgumentType=false
from __future__ import annotations

from functools import partial
from itertools import product

from PEPit import PEP

from ..case import Case


def audited(distance: float, certified: float, least: bool) -> PEP:
    """``‖g − F'‖²``, or its negative, for ``‖g − g'‖ = distance`` and ``‖g' − F'‖ ≤ certified``."""
    problem = PEP()
    g, better, exact = (problem.set_initial_point() for _ in range(3))
    problem.set_initial_condition((g - better) ** 2 == distance**2)
    problem.set_initial_condition((better - exact) ** 2 <= certified**2)
    problem.set_performance_metric((-1 if least else 1) * (g - exact) ** 2)
    return problem


CASES = tuple(
    Case(
        "C26",
        "−‖g − F'‖ ≤ c' − ‖g − g'‖" if least else "‖g − F'‖ ≤ ‖g − g'‖ + c'",
        "all vectors with ‖g' − F'‖ ≤ c'",
        (("‖g − g'‖", distance), ("c'", certified)),
        certified - distance if least else certified + distance,
        partial(audited, distance, certified, least),
    )
    for least, distance, certified in product((False, True), (1.0, 3.0), (0.02, 0.5))
)
