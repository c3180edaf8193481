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
    """A convex g with an exact proximity operator, on states from which an image is read linearly.

    The image of a state s is ``S s``; S is the identity unless a subclass says otherwise.
    """

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

    def pull_back(self, image: Tensor) -> Tensor:
        """``Sᵀ x``."""
        return image

    def regularity(self, operator: ForwardBackward, data: DataFidelity) -> DerivativeBounds | None:
        """Bounds on the derivatives of forward–backward with this penalty, if known."""
        return None

    def range(self) -> tuple[float, float]:
        """Smallest and largest eigenvalue of ``SᵀS``, from the parameters of this moment."""
        return 1.0, 1.0


class ForwardBackward(Operator):
    """``T(s; y, A) = prox_{τg}(s − τ Sᵀ Aᵀ(A S s − y))``, whose fixed point minimises ``½‖A S s − y‖² + g(s)``.

    Its equilibrium does not depend on τ, so at equilibrium the exact derivative in τ is 0 (THEORY C20);
    a learnable step is for truncated networks and for the tests of that claim.

    Args:
        prior: the penalty g with its learnable weights, and S.
        step: τ‖S‖² > 0, below ``2/‖A‖²``. The step itself is ``step / ‖S‖²``, with ‖S‖ that of the parameters at each
            call and held constant in derivatives, as it may be: see above.
        learn_step: make ``log τ`` a parameter.
    """

    log_step: Tensor

    def __init__(self, prior: Regulariser, step: float = 1.0, *, learn_step: bool = False) -> None:
        super().__init__()
        self.prior = prior
        log_step = torch.full_like(prior.log_weights.detach().flatten()[0], math.log(step))
        if learn_step:
            self.log_step = nn.Parameter(log_step)
        else:
            self.register_buffer("log_step", log_step)

    @property
    def reads_parameters_on_host(self) -> bool:
        """See ``Regulariser``."""
        return self.prior.reads_parameters_on_host

    def forward(
        self, x: Tensor, y: Tensor, physics: LinearPhysics, *, data: DataFidelity | None = None
    ) -> Tensor:
        """One iteration on states ``x`` with measurements ``y``; ``data`` is their data term, if it is there."""
        z, step = self.descend(x, data or data_fidelity(y, physics))
        return self.prior.prox(z, step)

    def descend(self, x: Tensor, data: DataFidelity) -> tuple[Tensor, Tensor]:
        """``x − τ Sᵀ Aᵀ(A S x − y)``, what the prox is given, and τ."""
        step = self.step()
        descent = self.prior.pull_back(data.descent(self.prior.image(x)))
        return torch.addcmul(x, step, descent), step

    def step(self) -> Tensor:
        """τ, a scalar."""
        return self.log_step.exp() / self.prior.range()[1]

    def start(self, image: Tensor) -> Tensor:
        """``Sᵀ x``."""
        return self.prior.pull_back(image)

    def image(self, state: Tensor) -> Tensor:
        """``S s``."""
        return self.prior.image(state)

    def synthesis(self) -> float | None:
        """Of the prior."""
        return None if self.prior.learns_synthesis else self.prior.range()[1]

    def contraction(self, spectrum: tuple[float, float]) -> float:
        """THEORY C9, with the eigenvalues of ``SᵀAᵀAS`` between the products of the extremes."""
        least, largest = self.prior.range()
        step = float(self.step())
        return contraction_factor((spectrum[0] * least, spectrum[1] * largest), step, self.prior.ridge)

    def regularity(self, data: DataFidelity) -> DerivativeBounds | None:
        """Known for every shrinkage; not for a learnable step, nor for a synthesis with parameters of its own."""
        if isinstance(self.log_step, nn.Parameter) or self.log_step.requires_grad:
            return None
        return self.prior.regularity(self, data)

    def alike(self, prior: Regulariser) -> ForwardBackward:
        """The same step with another penalty, in the dtype of its weights; nothing of it is learned."""
        made = ForwardBackward(prior)
        made.log_step = self.log_step.detach().to(prior.log_weights)
        return made


def contraction_factor(spectrum: tuple[float, float], step: float, ridge: float) -> float:
    """``L ≤ max(|1 − τα|, |1 − τβ|) / (1 + τε)`` of a forward–backward step (THEORY C9).

    Args:
        spectrum: smallest and largest eigenvalue α, β of ``AᵀA``.
        step: τ.
        ridge: ε, the modulus of strong convexity of g.
    """
    return max(abs(1 - step * eigenvalue) for eigenvalue in spectrum) / (1 + step * ridge)
