"""Forward–backward splitting over a deepinv physics."""

from __future__ import annotations

import math

import torch
from deepinv.physics import LinearPhysics
from torch import Tensor, nn

from .priors import WeightedPenalty


class ForwardBackward(nn.Module):
    """``T(x; y, A) = prox_{τg}(x − τ Aᵀ(Ax − y))``, the operator whose fixed point minimises ``½‖Ax − y‖² + g(x)``.

    Its equilibrium does not depend on τ, so at equilibrium the exact derivative in τ is 0 (THEORY C20);
    a learnable step is for truncated networks and for the tests of that claim.

    Args:
        prior: the penalty g with its learnable weights.
        step: τ > 0, below ``2/‖A‖²``.
        learn_step: make ``log τ`` a parameter.
    """

    log_step: Tensor

    def __init__(self, prior: WeightedPenalty, step: float = 1.0, *, learn_step: bool = False) -> None:
        super().__init__()
        self.prior = prior
        log_step = torch.full_like(prior.log_weights.detach()[0, 0, 0], math.log(step))
        if learn_step:
            self.log_step = nn.Parameter(log_step)
        else:
            self.register_buffer("log_step", log_step)

    def forward(self, x: Tensor, y: Tensor, physics: LinearPhysics) -> Tensor:
        """One iteration on images ``x`` ``(B, C, H, W)`` with measurements ``y``."""
        step = self.log_step.exp()
        return self.prior.prox(x - step * physics.A_adjoint(physics.A(x) - y), step)


def contraction_factor(spectrum: tuple[float, float], step: float, ridge: float) -> float:
    """``L ≤ max(|1 − τα|, |1 − τβ|) / (1 + τε)`` of a forward–backward step (THEORY C9).

    Args:
        spectrum: smallest and largest eigenvalue α, β of ``AᵀA``.
        step: τ.
        ridge: ε, the modulus of strong convexity of g.
    """
    return max(abs(1 - step * eigenvalue) for eigenvalue in spectrum) / (1 + step * ridge)
