"""Outer optimisers: they minimise ``F(θ) = ℓ(x*(θ))`` by gradients of an estimator, one optimiser a file."""

from .adam import Adam
from .lbfgs import LBFGS
from .objective import BilevelObjective, Evaluation, Evaluator, State
from .protocol import Optimiser, OuterStep
from .sgd import SGD

__all__ = [
    "LBFGS",
    "SGD",
    "Adam",
    "BilevelObjective",
    "Evaluation",
    "Evaluator",
    "Optimiser",
    "OuterStep",
    "State",
]
