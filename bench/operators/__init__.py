"""Operators ``T_θ(x; y, physics)``: one iteration of an algorithm as an ``nn.Module``."""

from ._operator import Bound, Operator, Prior
from .data_term import DataTerm, data_term
from .forward_backward import ForwardBackward, Regulariser, contraction_factor
from .groups import Groups
from .plug_and_play import DENOISED, Denoised, PlugAndPlay, with_weights
from .priors import PRIORS, Penalty, colours, huber, l1, orientations, orientations_colours, union
from .synthesis import CoupledPenalty, SynthesisPenalty, UnionPenalty
from .wavelets import Wavelets
from .weighted import WeightedPenalty

__all__ = [
    "DENOISED",
    "PRIORS",
    "Bound",
    "CoupledPenalty",
    "DataTerm",
    "Denoised",
    "ForwardBackward",
    "Groups",
    "Operator",
    "Penalty",
    "PlugAndPlay",
    "Prior",
    "Regulariser",
    "SynthesisPenalty",
    "UnionPenalty",
    "Wavelets",
    "WeightedPenalty",
    "colours",
    "contraction_factor",
    "data_term",
    "huber",
    "l1",
    "orientations",
    "orientations_colours",
    "union",
    "with_weights",
]
