"""Convex penalties, each with its learnable weights: in wavelets by a prox, of an analysis by that of the conjugate."""

from .factories import PRIORS, Penalty, colours, huber, l1, orientations, orientations_colours, union
from .groups import Groups
from .learned_filters import LearnedFilters, filters
from .synthesis import CoupledPenalty, SynthesisPenalty, UnionPenalty
from .total_generalised_variation import TotalGeneralisedVariation, tgv
from .total_variation import TotalVariation, tv
from .wavelets import Wavelets
from .weighted import WeightedPenalty

__all__ = [
    "PRIORS",
    "CoupledPenalty",
    "Groups",
    "LearnedFilters",
    "Penalty",
    "SynthesisPenalty",
    "TotalGeneralisedVariation",
    "TotalVariation",
    "UnionPenalty",
    "Wavelets",
    "WeightedPenalty",
    "colours",
    "filters",
    "huber",
    "l1",
    "orientations",
    "orientations_colours",
    "tgv",
    "tv",
    "union",
]
