"""Gradient estimators at equilibrium: a forward solver of ``x = T_θ(x)`` × a backward mode."""

from ._adjoint.adjoint_map import AdjointOperator, AdjointSolver
from ._adjoint.cg import CG
from ._adjoint.gmres import GMRES
from ._adjoint.prox_cg import ProxCG
from ._adjoint.shine import SharedInverse
from ._backward.certified import CertifiedBackward, StagnationWarning
from ._backward.modes import ImplicitDifferentiation, TruncatedBackprop
from ._certificates.bound import certificate
from ._certificates.derivative_bounds import (
    DerivativeBounds,
    DerivativeChange,
    HasDerivativeBounds,
    LipschitzConstants,
    Smooth,
    SmoothLoss,
    WrappedBounds,
)
from ._certificates.tape_recorder import TapedApplication, TapeRecorder, last_backward_pass
from ._core.certificate import Certificate
from ._core.maps import AdjointStages, Loss, Map, SupportsSelect, SupportsStages
from ._core.results import FixedPoint, Solution, SolveReport
from ._core.solver import BackwardMode, ForwardSolver, Solver
from ._forward.anderson import Anderson
from ._forward.nesterov import Nesterov
from ._forward.picard import FixedSteps, Picard
from ._forward.quasi_newton import QuasiNewton
from .audit import audit
from .certified import certified
from .checkpointed import checkpointed
from .deq import deq
from .estimated import estimated
from .implicit import implicit
from .jfb import jfb
from .last_solve import EquilibriumWarning, LastSolve
from .log_writers import SolveLog, log_to_mlflow, log_to_tensorboard, log_to_wandb
from .monitor import GradientMonitor
from .neumann import neumann
from .optim_operator import OptimOperator
from .phantom import phantom
from .reconstructor import Reconstructor
from .registry import ESTIMATORS, SOLVER_PARTS, EstimatorSpec
from .restarted_jfb import restarted_jfb
from .schedule import ToleranceSchedule
from .solver_text import parse_solver
from .unrolled import unrolled
from .warm_starts import WarmStarts

__version__ = "0.1.0"

__all__ = [
    "CG",
    "ESTIMATORS",
    "GMRES",
    "SOLVER_PARTS",
    "AdjointOperator",
    "AdjointSolver",
    "AdjointStages",
    "Anderson",
    "BackwardMode",
    "Certificate",
    "CertifiedBackward",
    "DerivativeBounds",
    "DerivativeChange",
    "EquilibriumWarning",
    "EstimatorSpec",
    "FixedPoint",
    "FixedSteps",
    "ForwardSolver",
    "GradientMonitor",
    "HasDerivativeBounds",
    "ImplicitDifferentiation",
    "LastSolve",
    "LipschitzConstants",
    "Loss",
    "Map",
    "Nesterov",
    "OptimOperator",
    "Picard",
    "ProxCG",
    "QuasiNewton",
    "Reconstructor",
    "SharedInverse",
    "Smooth",
    "SmoothLoss",
    "Solution",
    "SolveLog",
    "SolveReport",
    "Solver",
    "StagnationWarning",
    "SupportsSelect",
    "SupportsStages",
    "TapeRecorder",
    "TapedApplication",
    "ToleranceSchedule",
    "TruncatedBackprop",
    "WarmStarts",
    "WrappedBounds",
    "audit",
    "certificate",
    "certified",
    "checkpointed",
    "deq",
    "estimated",
    "implicit",
    "jfb",
    "last_backward_pass",
    "log_to_mlflow",
    "log_to_tensorboard",
    "log_to_wandb",
    "neumann",
    "parse_solver",
    "phantom",
    "restarted_jfb",
    "unrolled",
]
