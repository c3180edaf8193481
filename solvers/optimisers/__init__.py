"""Outer optimisers: they minimise ``F(θ) = ℓ(x*(θ))`` by gradients of an estimator, one optimiser a file."""

from .adam import Adam
from .certified_descent import CertifiedDescent
from .hoag import HOAG
from .lbfgs import LBFGS
from .maid import MAID
from .objective import BilevelObjective, Evaluation, Evaluator, State
from .protocol import Optimiser, OuterStep
from .sgd import SGD

__all__ = [
    "HOAG",
    "LBFGS",
    "MAID",
    "SGD",
    "Adam",
    "BilevelObjective",
    "CertifiedDescent",
    "Evaluation",
    "Evaluator",
    "Optimiser",
    "OuterStep",
    "State",
]
