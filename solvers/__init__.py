"""Gradient estimators at equilibrium: how ``x = T_θ(x)`` is reached × what autograd sees from there."""

from ._adjoint import Adjoint, Affine
from ._anderson import Anderson
from ._certified import Certified, StagnationWarning
from ._cg import CG
from ._core import Divisible, Equilibrium, Loss, Map, Pull, Reach, Report, Solution, Solver
from ._gmres import GMRES
from ._nesterov import Nesterov
from ._pull import Implicit, Tracked
from ._reach import Iterate, Picard
from ._regularity import Change, Lipschitz, Regular, Regularity, Smooth, SmoothLoss, Through
from ._roster import PARTS, ROSTER, Estimator
from ._shared import Shared
from ._watch import Taped, Watch, last_pass
from .audit import audit
from .certificate import Certificate, certificate
from .certified import certified
from .checkpointed import checkpointed
from .deq import deq
from .implicit import implicit
from .jfb import jfb
from .monitor import Monitor
from .neumann import neumann
from .phantom import phantom
from .reconstructor import Reconstructor
from .restarted_jfb import restarted_jfb
from .schedule import Schedule
from .unrolled import unrolled

__all__ = [
    "CG",
    "GMRES",
    "PARTS",
    "ROSTER",
    "Adjoint",
    "Affine",
    "Anderson",
    "Certificate",
    "Certified",
    "Change",
    "Divisible",
    "Equilibrium",
    "Estimator",
    "Implicit",
    "Iterate",
    "Lipschitz",
    "Loss",
    "Map",
    "Monitor",
    "Nesterov",
    "Picard",
    "Pull",
    "Reach",
    "Reconstructor",
    "Regular",
    "Regularity",
    "Report",
    "Schedule",
    "Shared",
    "Smooth",
    "SmoothLoss",
    "Solution",
    "Solver",
    "StagnationWarning",
    "Taped",
    "Through",
    "Tracked",
    "Watch",
    "audit",
    "certificate",
    "certified",
    "checkpointed",
    "deq",
    "implicit",
    "jfb",
    "last_pass",
    "neumann",
    "phantom",
    "restarted_jfb",
    "unrolled",
]
