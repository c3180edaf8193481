"""Denoisers for plug-and-play operators: networks of deepinv, with shipped, published or a user's weights."""

from .base import Denoiser, Family, ScaledDenoiser
from .families import DncnnFamily, DrunetFamily, GsDrunetFamily
from .scico import ScicoFamily
from .weights import WeightFile, weight_file

__all__ = [
    "Denoiser",
    "DncnnFamily",
    "DrunetFamily",
    "Family",
    "GsDrunetFamily",
    "ScaledDenoiser",
    "ScicoFamily",
    "WeightFile",
    "weight_file",
]
