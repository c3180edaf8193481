"""Forward–backward splitting over a deepinv physics."""

from __future__ import annotations

import math
from abc import abstractmethod

import torch
from deepinv.physics import LinearPhysics
from torch import Tensor, nn

from solvers import DerivativeBounds

from .base import Operator
from .data_fidelity import DataFidelity, data_fidelity


class Regulariser(nn.Module):
    """A convex g on states s with an exact proximity operator; the image is ``S s``, by default ``s`` itself."""

    log_weights: nn.Parameter
    ridge: float
    learns_synthesis: bool = False
    """Whether S has parameters."""
    reads_parameters_on_host: bool = False
    """Whether ``‖S‖`` or the prox reads a number of the parameters on the CPU."""

    @abstractmethod
    def prox(self, z: Tensor, step: Tensor) -> Tensor:
        """``argmin_s g(s) + ‖s − z‖²/(2τ)``, a ``1/(1 + τ·ridge)`` contraction."""

    def image(self, state: Tensor) -> Tensor:
        """``S s``."""
        return state

    def synthesis_adjoint(self, image: Tensor) -> Tensor:
        """``Sᵀ x``."""
        return image

    def range(self) -> tuple[float, float]:
        """Smallest and largest eigenvalue of ``SᵀS``, with the present parameters."""
        return 1.0, 1.0

    def regularity(self, operator: ForwardBackward, data: DataFidelity) -> DerivativeBounds | None:
        """Bounds on the derivatives of forward–backward with this penalty; ``None`` if unknown."""
        return None


class ForwardBackward(Operator):
    """``T(s; y, A) = prox_{τg}(s − τ Sᵀ Aᵀ(A S s − y))``, whose fixed point minimises ``½‖A S s − y‖² + g(s)``.

    The equilibrium does not depend on τ, so its exact derivative in τ is 0 (THEORY C20). A learnable step is for
    truncated networks, and for tests of that claim.

    Args:
        prior: the penalty g with its learnable weights, and S.
        step: τ‖S‖² > 0, below ``2/‖A‖²``. The step is ``τ = step / ‖S‖²`` with the present ‖S‖; derivatives treat it
            as a constant, which is exact at equilibrium.
        learn_step: make ``log τ`` a parameter.
    """

    log_step: Tensor

    def __init__(self, prior: Regulariser, step: float = 1.0, *, learn_step: bool = False) -> None:
        super().__init__()
        self.prior = prior
        self.reads_parameters_on_host = prior.reads_parameters_on_host
        log_step = torch.full_like(prior.log_weights.detach().flatten()[0], math.log(step))
        if learn_step:
            self.log_step = nn.Parameter(log_step)
        else:
            self.register_buffer("log_step", log_step)

    def forward(
        self, x: Tensor, y: Tensor, physics: LinearPhysics, *, data: DataFidelity | None = None
    ) -> Tensor:
        """One iteration; see ``Operator.forward``."""
        z, step = self.descend(x, data or data_fidelity(y, physics))
        return self.prior.prox(z, step)

    def descend(self, x: Tensor, data: DataFidelity) -> tuple[Tensor, Tensor]:
        """The argument ``x − τ Sᵀ Aᵀ(A S x − y)`` of the prox, and τ."""
        step = self.step()
        descent = self.prior.synthesis_adjoint(data.descent(self.prior.image(x)))
        return torch.addcmul(x, step, descent), step

    def step(self) -> Tensor:
        """τ, a scalar."""
        return self.log_step.exp() / self.prior.range()[1]

    def start(self, image: Tensor) -> Tensor:
        """``Sᵀ x``."""
        return self.prior.synthesis_adjoint(image)

    def image(self, state: Tensor) -> Tensor:
        """``S s``."""
        return self.prior.image(state)

    def synthesis_bound(self) -> float | None:
        """``‖S‖²``; ``None`` if S has parameters."""
        return None if self.prior.learns_synthesis else self.prior.range()[1]

    def contraction(self, spectrum: tuple[float, float]) -> float:
        """THEORY C9; the eigenvalues of ``SᵀAᵀAS`` lie between products of the extremes of ``SᵀS`` and ``AᵀA``."""
        least, largest = self.prior.range()
        step = float(self.step())
        return contraction_factor((spectrum[0] * least, spectrum[1] * largest), step, self.prior.ridge)

    def regularity(self, data: DataFidelity) -> DerivativeBounds | None:
        """The bounds of the penalty; ``None`` for a learnable step."""
        if isinstance(self.log_step, nn.Parameter) or self.log_step.requires_grad:
            return None
        return self.prior.regularity(self, data)

    def with_prior(self, prior: Regulariser) -> ForwardBackward:
        """The same operator with another penalty, in the dtype of its weights; its step is not learned."""
        operator = ForwardBackward(prior)
        operator.log_step = self.log_step.detach().to(prior.log_weights)
        return operator


def contraction_factor(spectrum: tuple[float, float], step: float, ridge: float) -> float:
    """``L ≤ max(|1 − τα|, |1 − τβ|) / (1 + τε)`` of a forward–backward step (THEORY C9).

    α, β are the extreme eigenvalues of ``AᵀA``, τ is the step, and ε the modulus of strong convexity of g.
    """
    return max(abs(1 - step * eigenvalue) for eigenvalue in spectrum) / (1 + step * ridge)
