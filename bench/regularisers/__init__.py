"""Learned regularisers with a smooth energy; their operator is a gradient step."""

from .input_convex import InputConvexRegulariser
from .prior import REGULARISERS, LearnedPrior, crr, icnn, wcrr
from .ridge import RidgeRegulariser

__all__ = [
    "REGULARISERS",
    "InputConvexRegulariser",
    "LearnedPrior",
    "RidgeRegulariser",
    "crr",
    "icnn",
    "wcrr",
]
