"""Gradient estimators at equilibrium: how ``x = T_θ(x)`` is reached × what autograd sees from there."""

from ._adjoint import Adjoint, Affine
from ._anderson import Anderson
from ._cg import CG
from ._core import Divisible, Equilibrium, Map, Pull, Reach, Report, Solution, Solver
from ._gmres import GMRES
from ._nesterov import Nesterov
from ._pull import Implicit, Tracked
from ._reach import Iterate, Picard
from ._roster import PARTS, ROSTER, Estimator
from ._shared import Shared
from .checkpointed import checkpointed
from .deq import deq
from .implicit import implicit
from .jfb import jfb
from .neumann import neumann
from .phantom import phantom
from .restarted_jfb import restarted_jfb
from .unrolled import unrolled

__all__ = [
    "CG",
    "GMRES",
    "PARTS",
    "ROSTER",
    "Adjoint",
    "Affine",
    "Anderson",
    "Divisible",
    "Equilibrium",
    "Estimator",
    "Implicit",
    "Iterate",
    "Map",
    "Nesterov",
    "Picard",
    "Pull",
    "Reach",
    "Report",
    "Shared",
    "Solution",
    "Solver",
    "Tracked",
    "checkpointed",
    "deq",
    "implicit",
    "jfb",
    "neumann",
    "phantom",
    "restarted_jfb",
    "unrolled",
]
