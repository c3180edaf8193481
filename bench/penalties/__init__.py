"""Convex penalties in wavelets, each with its proximal map, its learnable weights and its derivative bounds."""

from .factories import PRIORS, Penalty, colours, huber, l1, orientations, orientations_colours, union
from .groups import Groups
from .synthesis import CoupledPenalty, SynthesisPenalty, UnionPenalty
from .wavelets import Wavelets
from .weighted import WeightedPenalty

__all__ = [
    "PRIORS",
    "CoupledPenalty",
    "Groups",
    "Penalty",
    "SynthesisPenalty",
    "UnionPenalty",
    "Wavelets",
    "WeightedPenalty",
    "colours",
    "huber",
    "l1",
    "orientations",
    "orientations_colours",
    "union",
]
