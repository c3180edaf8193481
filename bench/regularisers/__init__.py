"""Learned regularisers with a smooth energy; their operator is a gradient step."""

from .fields_of_experts import FieldsOfExperts
from .input_convex import InputConvexRegulariser
from .prior import REGULARISERS, LearnedPrior, crr, foe, icnn, wcrr
from .ridge import RidgeRegulariser

__all__ = [
    "REGULARISERS",
    "FieldsOfExperts",
    "InputConvexRegulariser",
    "LearnedPrior",
    "RidgeRegulariser",
    "crr",
    "foe",
    "icnn",
    "wcrr",
]
