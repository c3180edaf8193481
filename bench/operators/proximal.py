"""Operators with one proximity operator of a penalty, and affine otherwise."""

from __future__ import annotations

from abc import abstractmethod
from functools import partial
from typing import Self

import torch
from deepinv.physics import LinearPhysics
from torch import Tensor, nn

from solvers import AdjointStages, DerivativeBounds, Map

from .base import Operator
from .data_fidelity import DataFidelity, data_fidelity
from .synthesis import Synthesis


class Regulariser(Synthesis):
    """A convex g on states s with an exact proximity operator; the image is ``S s``, by default ``s`` itself."""

    log_weights: nn.Parameter
    ridge: float

    @abstractmethod
    def prox(self, z: Tensor, step: Tensor) -> Tensor:
        """``argmin_s g(s) + ‖s − z‖²/(2τ)``, a ``1/(1 + τ·ridge)`` contraction."""

    def regularity(self, operator: ProximalOperator, data: DataFidelity) -> DerivativeBounds | None:
        """Bounds on the derivatives of an operator with this penalty; ``None`` if unknown."""
        return None

    def dual_modulus(self) -> float:
        """The modulus of strong convexity of the conjugate g*, at the present parameters; 0 if it has none."""
        return 0.0


class ProximalOperator(Operator):
    """``T(s) = M s + m + c · prox_{τg}(H s + h)``: affine, but for one proximity operator.

    M, m, H, h come from the data term alone, so only the prox depends on the parameters, the weights of g. Bounds on
    its derivatives then bound those of T (``bench/penalties/shrinkage_bounds.py``).

    Args:
        prior: the penalty g with its learnable weights, and the synthesis S.
    """

    gain: float = 1.0
    """c."""

    def __init__(self, prior: Regulariser) -> None:
        super().__init__()
        self.prior = prior
        self.reads_parameters_on_host = prior.reads_parameters_on_host

    def forward(
        self, x: Tensor, y: Tensor, physics: LinearPhysics, *, data: DataFidelity | None = None
    ) -> Tensor:
        """One iteration; see ``Operator.forward``."""
        return self.iterate(x, data or data_fidelity(y, physics))

    @abstractmethod
    def iterate(self, x: Tensor, data: DataFidelity) -> Tensor:
        """One iteration on states ``x`` with the data term of the measurements."""

    @abstractmethod
    def prox_argument(self, x: Tensor, data: DataFidelity) -> tuple[Tensor, Tensor]:
        """``H x + h``, at which the prox is taken, and τ, a scalar."""

    @abstractmethod
    def argument_lipschitz(self, spectrum: tuple[float, float]) -> float:
        """A bound on ``‖H‖``, given the smallest and the largest eigenvalue of ``AᵀA``."""

    @abstractmethod
    def step(self) -> Tensor:
        """τ, a scalar."""

    @abstractmethod
    def term_sizes(self, x: Tensor, y: Tensor, largest: float) -> float:
        """A bound on the sum of the norms of all terms that an iteration adds up, but for those of the prox.

        Args:
            x, y: states and measurements.
            largest: largest eigenvalue of ``AᵀA``.
        """

    @abstractmethod
    def with_prior(self, prior: Regulariser) -> Self:
        """The same operator with another penalty, in the dtype of its weights; its step is not learned."""

    def start(self, image: Tensor) -> Tensor:
        """``Sᵀ x``."""
        return self.prior.synthesis_adjoint(image)

    def regularity(self, data: DataFidelity) -> DerivativeBounds | None:
        """The bounds of the penalty."""
        return self.prior.regularity(self, data)

    def stages(self, x: Tensor, data: DataFidelity) -> AdjointStages | None:
        """``D`` and ``H``, the derivatives of the prox and of its argument; T is the prox of its argument, c = 1."""
        return AdjointStages(*self.derivatives(x, data))

    def derivatives(self, x: Tensor, data: DataFidelity) -> tuple[Map, Map]:
        """``u -> D u`` with D the derivative of the prox at ``H x + h``, and ``u -> H u``; both are symmetric."""
        with torch.enable_grad():
            start = x.detach().requires_grad_()
            argument, step = self.prox_argument(start, data)
            z = argument.detach().requires_grad_()
            value = self.prior.prox(z, step.detach())
        return partial(pulled, value, z), partial(pulled, argument, start)

    def eigenvalues(self, spectrum: tuple[float, float]) -> tuple[float, float]:
        """Bounds on the eigenvalues of ``SᵀAᵀAS``: products of the extremes of ``SᵀS`` and ``AᵀA``."""
        least, largest = self.prior.range()
        return spectrum[0] * least, spectrum[1] * largest


def pulled(y: Tensor, x: Tensor, u: Tensor) -> Tensor:
    """``(∂y/∂x)ᵀ u``, keeping the tape."""
    return torch.autograd.grad(y, x, u, retain_graph=True, materialize_grads=True)[0]


def norm(x: Tensor) -> float:
    """The Euclidean norm of all entries, in float64."""
    return float(torch.linalg.vector_norm(x.detach(), dtype=torch.float64))
