"""The function of which a penalty's prox is the proximity operator."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.penalties import SynthesisPenalty, WeightedPenalty
from bench.penalties.groups import by_band


def energy(penalty: WeightedPenalty | SynthesisPenalty, state: Tensor) -> Tensor:
    """``Σ_g ω_g h_δ(‖c_g‖) + ε/2 ‖s − m‖²`` of each state s with coefficients c, ``(B,)``."""
    d = penalty.smoothing
    size = penalty.magnitude(penalty.analyse(state))
    huber = torch.where(size > d, size - d / 2, size.square() / (2 * d) if d else size)
    weights = penalty.expand(
        by_band(penalty.log_weights.exp(), penalty.orientations)
    ) / penalty.groups.copies(penalty.orientations)
    centre = penalty.centre if isinstance(penalty, SynthesisPenalty) else 0.5
    ridge = penalty.ridge / 2 * (state - centre).square().flatten(1).sum(1)
    return (weights * huber).flatten(1).sum(1) + ridge
