"""Forward–backward splitting over a deepinv physics."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import torch
from deepinv.physics import LinearPhysics
from torch import Tensor, nn

from solvers import DerivativeBounds

from .base import Operator, Prior
from .data_fidelity import DataFidelity
from .proximal import ProximalOperator, Regulariser, norm
from .splitting import FORWARD_BACKWARD, HasAnalysis, no_prox


class ForwardBackward(ProximalOperator):
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
        super().__init__(prior)
        log_step = torch.full_like(prior.log_weights.detach().flatten()[0], math.log(step))
        if learn_step:
            self.log_step = nn.Parameter(log_step)
        else:
            self.register_buffer("log_step", log_step)

    def iterate(self, x: Tensor, data: DataFidelity) -> Tensor:
        """One iteration; see ``ProximalOperator.iterate``."""
        return self.prior.prox(*self.prox_argument(x, data))

    def prox_argument(self, x: Tensor, data: DataFidelity) -> tuple[Tensor, Tensor]:
        """The argument ``x − τ Sᵀ Aᵀ(A S x − y)`` of the prox, and τ."""
        step = self.step()
        descent = self.prior.synthesis_adjoint(data.descent(self.prior.image(x)))
        return torch.addcmul(x, step, descent), step

    def step(self) -> Tensor:
        """τ, a scalar."""
        return self.log_step.exp() / self.prior.range()[1]

    def image(self, state: Tensor, data: DataFidelity | None = None) -> Tensor:
        """``S s``."""
        return self.prior.image(state)

    def image_bound(self, spectrum: tuple[float, float]) -> float | None:
        """``‖S‖²``; ``None`` if S has parameters."""
        return None if self.prior.learns_synthesis else self.prior.range()[1]

    def contraction(self, spectrum: tuple[float, float]) -> float:
        """THEORY C9; the eigenvalues of ``SᵀAᵀAS`` lie between products of the extremes of ``SᵀS`` and ``AᵀA``."""
        return contraction_factor(self.eigenvalues(spectrum), float(self.step()), self.prior.ridge)

    def argument_lipschitz(self, spectrum: tuple[float, float]) -> float:
        """``‖I − τ SᵀAᵀA S‖``."""
        return contraction_factor(self.eigenvalues(spectrum), float(self.step()), 0.0)

    def term_sizes(self, x: Tensor, y: Tensor, largest: float) -> float:
        """See ``ProximalOperator.term_sizes``."""
        return norm(x) + float(self.step()) * (largest * norm(x) + math.sqrt(largest) * norm(y))

    def regularity(self, data: DataFidelity) -> DerivativeBounds | None:
        """The bounds of the penalty; ``None`` for a learnable step."""
        if isinstance(self.log_step, nn.Parameter) or self.log_step.requires_grad:
            return None
        return super().regularity(data)

    def with_prior(self, prior: Regulariser) -> Self:
        """The same operator with another penalty, in the dtype of its weights; its step is not learned."""
        operator = type(self)(prior)
        operator.log_step = self.log_step.detach().to(prior.log_weights)
        return operator


def contraction_factor(spectrum: tuple[float, float], step: float, ridge: float) -> float:
    """``L ≤ max(|1 − τα|, |1 − τβ|) / (1 + τε)`` of a forward–backward step (THEORY C9).

    α, β are the extreme eigenvalues of ``AᵀA``, τ is the step, and ε the modulus of strong convexity of g.
    """
    return max(abs(1 - step * eigenvalue) for eigenvalue in spectrum) / (1 + step * ridge)


@dataclass(frozen=True, slots=True)
class ForwardBackwardSplitting:
    """Forward–backward at the step of the task, for every prior and every linear physics."""

    label: str = FORWARD_BACKWARD
    same_equilibrium: bool = True

    def refusal(self, prior: Prior) -> str:
        """Empty, unless the prior has no prox: every other makes its own forward–backward operator."""
        return no_prox(prior.label, self.label) if isinstance(prior, HasAnalysis) and not prior.smooth else ""

    def operator(
        self,
        prior: Prior,
        physics: LinearPhysics,
        shape: tuple[int, ...],
        step: float,
        dtype: torch.dtype,
        device: torch.device | str,
    ) -> Operator:
        """See ``Splitting.operator``."""
        return prior.operator(shape, step, dtype, device)


def forward_backward() -> ForwardBackwardSplitting:
    """A gradient step on the data term, then the prox of the penalty, or a denoiser; the operator by default."""
    return ForwardBackwardSplitting()
