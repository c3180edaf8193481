"""Gradient estimators at equilibrium: how ``x = T_θ(x)`` is reached × what autograd sees from there."""

from ._anderson import Anderson
from ._core import Equilibrium, Map, Pull, Reach, Report, Solution, Solver
from ._pull import Implicit, Tracked
from ._reach import Iterate, Picard
from ._roster import ROSTER, Estimator
from .deq import deq
from .jfb import jfb
from .neumann import neumann
from .restarted_jfb import restarted_jfb
from .unrolled import unrolled

__all__ = [
    "ROSTER",
    "Anderson",
    "Equilibrium",
    "Estimator",
    "Implicit",
    "Iterate",
    "Map",
    "Picard",
    "Pull",
    "Reach",
    "Report",
    "Solution",
    "Solver",
    "Tracked",
    "deq",
    "jfb",
    "neumann",
    "restarted_jfb",
    "unrolled",
]
