"""Operators ``T_θ(x; y, physics)``: one iteration of an algorithm as an ``nn.Module``."""

from .forward_backward import ForwardBackward, contraction_factor
from .priors import PRIORS, Penalty, WeightedPenalty, huber, l1
from .wavelets import Wavelets

__all__ = [
    "PRIORS",
    "ForwardBackward",
    "Penalty",
    "Wavelets",
    "WeightedPenalty",
    "contraction_factor",
    "huber",
    "l1",
]
