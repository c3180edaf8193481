"""Denoisers for plug-and-play operators: deepinv's networks, and where their weights come from."""

from .base import Denoiser, Family
from .dncnn import DncnnFamily
from .drunet import DrunetFamily
from .gsdrunet import GsDrunetFamily
from .noise_scaling import Scaled
from .scico import ScicoFamily
from .weights import WeightFile, weight_file

__all__ = [
    "Denoiser",
    "DncnnFamily",
    "DrunetFamily",
    "Family",
    "GsDrunetFamily",
    "Scaled",
    "ScicoFamily",
    "WeightFile",
    "weight_file",
]
