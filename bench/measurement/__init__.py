"""Measurements of a cell: training, error of the gradient, memory, the equilibrium and iteration past the depth."""

from .hypergradient import NoReference, ReferenceGradient, reference_gradient
from .measure import CellResult, measure
from .training import train, training_step

__all__ = [
    "CellResult",
    "NoReference",
    "ReferenceGradient",
    "measure",
    "reference_gradient",
    "train",
    "training_step",
]
