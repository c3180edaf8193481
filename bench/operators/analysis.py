"""Penalties of a linear analysis of a state, given by the prox of their conjugate."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor, nn

from .proximal import Regulariser
from .synthesis import Synthesis


class AnalysisPenalty(Synthesis):
    """``g(K s)`` of states s ``(B, P, H, W)`` with a linear K, its adjoint, and the prox of the conjugate g*.

    Attributes:
        primal_channels: P, the channels of a state.
        dual_channels: D, those of ``K s`` ``(B, D, H, W)``.
    """

    primal_channels: int
    dual_channels: int

    @abstractmethod
    def analyse(self, state: Tensor) -> Tensor:
        """``K s``."""

    @abstractmethod
    def adjoint(self, dual: Tensor) -> Tensor:
        """``Kᵀ u``."""

    @abstractmethod
    def dual_prox(self, v: Tensor, step: Tensor) -> Tensor:
        """``argmin_u g*(u) + ‖u − v‖²/(2σ)`` for a scalar step σ > 0."""

    @abstractmethod
    def norm_squared(self) -> Tensor:
        """A bound on ``‖K‖²`` at the present parameters: a scalar without a gradient, on the device of the penalty."""

    @abstractmethod
    def dual_modulus(self) -> float:
        """The modulus of strong convexity of g*, at the present parameters; 0 if it has none."""

    @abstractmethod
    def largest_weight(self) -> float:
        """The largest weight ω, at the present parameters."""

    def network_weights(self) -> list[nn.Parameter]:
        """The parameters that have the learning rate of networks; see ``Operator.network_weights``."""
        return []


class FilterAnalysis(AnalysisPenalty):
    """``K x`` are the coefficients of F filters, the same for all channels of x: those of a channel are contiguous."""

    @abstractmethod
    def kernels(self) -> Tensor:
        """The filters, ``(F, k, k)`` with odd k, as kernels of a correlation."""

    def prox(self, z: Tensor, gamma: Tensor) -> Tensor:
        """``prox_{γg}(z)`` of coefficients ``(B, D, H, W)`` for a scalar γ > 0, by that of g* (Moreau)."""
        return z - gamma * self.dual_prox(z / gamma, 1 / gamma)


class IdentityAnalysis(AnalysisPenalty):
    """A penalty with a prox of its own, as one with ``K = I``: ``prox_{σg*}(v) = v − σ prox_{g/σ}(v/σ)`` (Moreau).

    Args:
        prior: the penalty, without a ridge.
        channels: of its states.
    """

    one: Tensor

    def __init__(self, prior: Regulariser, channels: int) -> None:
        super().__init__()
        self.prior = prior
        self.primal_channels = self.dual_channels = channels
        self.learns_synthesis = prior.learns_synthesis
        self.reads_parameters_on_host = prior.reads_parameters_on_host
        one = torch.ones_like(prior.log_weights.detach().flatten()[0])
        self.register_buffer("one", one, persistent=False)

    @property
    def states_are_images(self) -> bool:
        """See ``Synthesis.states_are_images``."""
        return self.prior.states_are_images

    def analyse(self, state: Tensor) -> Tensor:
        """s."""
        return state

    def adjoint(self, dual: Tensor) -> Tensor:
        """u."""
        return dual

    def dual_prox(self, v: Tensor, step: Tensor) -> Tensor:
        """See ``AnalysisPenalty.dual_prox``."""
        return v - step * self.prior.prox(v / step, 1 / step)

    def norm_squared(self) -> Tensor:
        """1."""
        return self.one

    def dual_modulus(self) -> float:
        """See ``Regulariser.dual_modulus``."""
        return self.prior.dual_modulus()

    def largest_weight(self) -> float:
        """See ``AnalysisPenalty.largest_weight``."""
        return float(self.prior.log_weights.detach().max().exp())

    def image(self, state: Tensor) -> Tensor:
        """``S s``."""
        return self.prior.image(state)

    def synthesis_adjoint(self, image: Tensor) -> Tensor:
        """``Sᵀ x``."""
        return self.prior.synthesis_adjoint(image)

    def range(self) -> tuple[float, float]:
        """See ``Synthesis.range``."""
        return self.prior.range()

    def grey(self) -> Tensor | float:
        """See ``Synthesis.grey``."""
        return self.prior.grey()
