"""Operators that take the prox of the data term in closed form."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import torch
from deepinv.physics import LinearPhysics
from torch import Tensor

from ..utils.errors import UserError
from .base import Prior
from .data_fidelity import DataFidelity
from .normal import SpectralNormal, normal_operator
from .proximal import ProximalOperator, Regulariser, norm
from .splitting import HasAnalysis, HasRegulariser
from .synthesis import Synthesis


class DataProxOperator(ProximalOperator):
    """An operator made of ``prox_{γf}`` and ``prox_{γg}``, for ``min f + g``.

    f is the data term with the ridge of the penalty, ``f(s) = ½‖A S s − y‖² + ε/2 ‖s − m‖²`` with m the state of
    mid-grey, and g is the penalty without it.

    Args:
        prior: g without a ridge, with learnable weights; ``S Sᵀ`` must be the identity.
        gamma: γ > 0.
        ridge: ε ≥ 0.
    """

    gamma_of_prox: Tensor

    def __init__(self, prior: Regulariser, gamma: float, ridge: float) -> None:
        super().__init__(prior)
        self.gamma, self.ridge = gamma, ridge
        like = prior.log_weights.detach().flatten()[0]
        self.register_buffer("gamma_of_prox", torch.full_like(like, gamma), persistent=False)

    def data_prox(self, z: Tensor, data: DataFidelity) -> Tensor:
        """``prox_{γf}(z)`` for states z."""
        return data_prox(self.prior, z, data, self.gamma, self.ridge)

    def step(self) -> Tensor:
        """γ."""
        return self.gamma_of_prox

    def curvatures(self, spectrum: tuple[float, float]) -> tuple[float, float]:
        """Smallest and largest eigenvalue of the second derivative of f: σ and β."""
        least, largest = self.eigenvalues(spectrum)
        return least + self.ridge, largest + self.ridge

    def data_prox_sizes(self, x: Tensor, y: Tensor, largest: float) -> float:
        """A bound on the sum of the norms of the terms of ``data_prox``, which is nonexpansive but for its offset."""
        offset = self.gamma * (math.sqrt(largest) * norm(y) + self.ridge * 0.5 * math.sqrt(x.numel()))
        return 4 * (norm(x) + offset)

    def with_prior(self, prior: Regulariser) -> Self:
        """The same operator with another penalty, in the dtype of its weights."""
        return type(self)(prior, self.gamma, self.ridge)


def data_prox(S: Synthesis, z: Tensor, data: DataFidelity, gamma: float, ridge: float) -> Tensor:
    """``prox_{γf}(z)`` of ``f(s) = ½‖A S s − y‖² + ε/2 ‖s − m‖²``, with m the state of mid-grey.

    Args:
        S: a synthesis with ``S Sᵀ = I``.
        z: states.
        data: of measurements whose physics has known singular values.
        gamma, ridge: γ > 0 and ε ≥ 0.
    """
    shift = 1 + gamma * ridge
    right = z + gamma * ridge * S.grey() if ridge else z
    if S.range()[0] == 1:
        return data.prox(right, gamma, shift)
    # S Sᵀ = I: the data term meets only the part of a state that is the analysis Sᵀ x of an image.
    image = S.image(right)
    return (right + S.synthesis_adjoint(shift * data.prox(image, gamma, shift) - image)) / shift


@dataclass(frozen=True, slots=True)
class Split:
    """A penalty and a data term, split for ``min f + g``; see ``DataProxOperator``.

    Attributes:
        penalty: g, the penalty without its ridge.
        ridge: ε.
        curvatures: eigenvalues of the second derivative of f, float64; the smallest is σ, the largest β.
    """

    penalty: Regulariser
    ridge: float
    curvatures: Tensor

    @property
    def extremes(self) -> tuple[float, float]:
        """σ and β."""
        return float(self.curvatures.min()), float(self.curvatures.max())


def split(
    prior: Prior,
    physics: LinearPhysics,
    splitting: str,
    shape: tuple[int, int, int],
    dtype: torch.dtype,
    device: torch.device | str,
) -> Split:
    """Split the problem of a prior and a physics.

    Args:
        prior, physics, shape, dtype, device: see ``Splitting.operator``.
        splitting: its label, for errors.

    Raises:
        UserError: the prior is no convex penalty, or the prox of the data term has no closed form on its states.
    """
    if isinstance(prior, HasAnalysis):
        raise UserError(
            f"{splitting} needs the prox of {prior.label}, which has no closed form: choose primal_dual"
        )
    if not isinstance(prior, HasRegulariser):
        raise UserError(
            f"{splitting} needs a convex penalty, and {prior.label} is none: choose forward_backward"
        )
    penalty = prior.without_ridge(shape, dtype, device)
    if penalty.learns_synthesis:
        raise UserError(
            f"{splitting} needs the prox of the data term in closed form, and {prior.label} learns its synthesis, so "
            "that there is none: choose forward_backward or primal_dual"
        )
    N = spectral_normal(physics, splitting)
    values = N.eigenvalues().cpu()
    if penalty.range()[0] == 0:  # states outside the analysis of images meet the ridge alone
        values = torch.cat((values, torch.zeros_like(values)))
    return Split(penalty, prior.ridge, values + prior.ridge)


def spectral_normal(physics: LinearPhysics, splitting: str) -> SpectralNormal:
    """``AᵀA`` of a physics; raises ``UserError`` if its singular values are unknown, so that f has no prox."""
    N = normal_operator(physics)
    if not isinstance(N, SpectralNormal):
        raise UserError(
            f"{splitting} needs the prox of the data term in closed form, and that of {type(physics).__name__} has "
            "none: choose forward_backward or primal_dual"
        )
    return N
