"""Operators ``T_θ(x; y, physics)``: one iteration of an algorithm as an ``nn.Module``."""

from collections.abc import Callable

from .analysis import AnalysisPenalty
from .base import BoundOperator, Operator, Prior, TakesWeights
from .data_fidelity import DataFidelity, data_fidelity
from .douglas_rachford import DouglasRachford, admm, douglas_rachford, peaceman_rachford
from .forward_backward import ForwardBackward, contraction_factor, forward_backward
from .gradient_step import Curvature, GradientStep, SmoothRegulariser
from .half_quadratic import HalfQuadratic, half_quadratic
from .plug_and_play import PLUG_AND_PLAY_PRIORS, PlugAndPlay, PlugAndPlayPrior, with_weights
from .plug_and_play_douglas_rachford import PlugAndPlayDouglasRachford
from .primal_dual import ChambollePock, CondatVu, PrimalDual, chambolle_pock, primal_dual
from .proximal import ProximalOperator, Regulariser
from .splitting import Splitting

SPLITTINGS: dict[str, Callable[..., Splitting]] = {
    "forward_backward": forward_backward,
    "douglas_rachford": douglas_rachford,
    "peaceman_rachford": peaceman_rachford,
    "admm": admm,
    "half_quadratic": half_quadratic,
    "primal_dual": primal_dual,
    "chambolle_pock": chambolle_pock,
}

__all__ = [
    "PLUG_AND_PLAY_PRIORS",
    "SPLITTINGS",
    "AnalysisPenalty",
    "BoundOperator",
    "ChambollePock",
    "CondatVu",
    "Curvature",
    "DataFidelity",
    "DouglasRachford",
    "ForwardBackward",
    "GradientStep",
    "HalfQuadratic",
    "Operator",
    "PlugAndPlay",
    "PlugAndPlayDouglasRachford",
    "PlugAndPlayPrior",
    "PrimalDual",
    "Prior",
    "ProximalOperator",
    "Regulariser",
    "SmoothRegulariser",
    "Splitting",
    "TakesWeights",
    "admm",
    "chambolle_pock",
    "contraction_factor",
    "data_fidelity",
    "douglas_rachford",
    "forward_backward",
    "half_quadratic",
    "peaceman_rachford",
    "primal_dual",
    "with_weights",
]
