"""Operators ``T_θ(x; y, physics)``: one iteration of an algorithm as an ``nn.Module``."""

from .base import BoundOperator, Operator, Prior
from .data_fidelity import DataFidelity, data_fidelity
from .forward_backward import ForwardBackward, Regulariser, contraction_factor
from .plug_and_play import PLUG_AND_PLAY_PRIORS, PlugAndPlay, PlugAndPlayPrior, with_weights

__all__ = [
    "PLUG_AND_PLAY_PRIORS",
    "BoundOperator",
    "DataFidelity",
    "ForwardBackward",
    "Operator",
    "PlugAndPlay",
    "PlugAndPlayPrior",
    "Prior",
    "Regulariser",
    "contraction_factor",
    "data_fidelity",
    "with_weights",
]
