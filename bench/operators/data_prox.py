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
from .splitting import REMEDY, HasAnalysis, HasRegulariser, learned_synthesis, no_prox, not_convex
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
        """A bound on the sum of the norms of the terms of ``data_prox``.

        ``x + γεm`` and ``γAᵀy`` each count twice, for a pair of transforms of their own and one of their sum. The
        transform of a kernel rounds off a unit of its largest value: λ is off by ``2√(λβ)`` units, and ``1/(1 + γλ)``,
        relative to itself, by ``2γ√(λβ)/(1 + γλ) ≤ √(γβ)``.
        """
        offset = self.gamma * (math.sqrt(largest) * norm(y) + self.ridge * 0.5 * math.sqrt(x.numel()))
        return (2 + math.sqrt(self.gamma * largest)) * (norm(x) + offset)

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
    shift, offset = 1 + gamma * ridge, gamma * ridge * S.grey()
    if S.states_are_images:
        return data.prox(z, gamma, shift, offset)
    right = z + offset
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


def refusal(prior: Prior, splitting: str) -> str:
    """Why a prior cannot be split by proximity operators; see ``Splitting.refusal``."""
    if isinstance(prior, HasAnalysis):
        return no_prox(prior.label, splitting)
    if not isinstance(prior, HasRegulariser):
        return not_convex(prior, splitting)
    return learned_synthesis(prior, splitting) if prior.learns_synthesis else ""


def split(
    prior: Prior,
    physics: LinearPhysics,
    splitting: str,
    shape: tuple[int, ...],
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
    if reason := refusal(prior, splitting):
        raise UserError(reason)
    assert isinstance(prior, HasRegulariser)
    penalty = prior.without_ridge(shape, dtype, device)
    if penalty.range() not in ((1.0, 1.0), (0.0, 1.0)):
        raise UserError(
            f"{splitting} needs the prox of the data term in closed form, and on the states of {prior.label} it has "
            f"none: {REMEDY}"
        )
    values = closed_form(physics, splitting).eigenvalues().cpu()
    # States outside the analysis of images meet the ridge alone.
    state = penalty.synthesis_adjoint(torch.zeros(1, *shape, dtype=dtype, device=device))
    outside = values.new_zeros((state.numel() // math.prod(shape) - 1) * values.numel())
    return Split(penalty, prior.ridge, torch.cat((values, outside)) + prior.ridge)


def closed_form(physics: LinearPhysics, splitting: str) -> SpectralNormal:
    """``AᵀA`` of a physics whose singular values are known, so that the prox of the data term has a closed form.

    Args:
        physics: linear.
        splitting: its label, for the error.

    Raises:
        UserError: the singular values are unknown.
    """
    N = normal_operator(physics)
    if isinstance(N, SpectralNormal):
        return N
    raise UserError(
        f"{splitting} needs the prox of the data term in closed form, and that of {type(physics).__name__} has none: "
        f"{REMEDY}"
    )


def reflection_factor(curvatures: tuple[float, float], gamma: float) -> float:
    """``δ(γ) = max((1 − γσ)/(1 + γσ), (γβ − 1)/(γβ + 1))``, the norm of ``2 prox_{γf} − I`` for quadratic f.

    σ and β are the smallest and the largest eigenvalue of the second derivative of f.
    """
    return max(abs(1 - gamma * curvature) / (1 + gamma * curvature) for curvature in curvatures)
