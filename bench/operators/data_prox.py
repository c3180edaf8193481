"""Operators that take the prox of the data term in closed form."""

from __future__ import annotations

import math
from typing import Self

import torch
from deepinv.physics import LinearPhysics
from torch import Tensor

from ..utils.errors import UserError
from .base import Prior
from .data_fidelity import DataFidelity
from .normal import DiagonalNormal, FourierNormal, normal_operator, spectrum_bounds
from .proximal import ProximalOperator, Regulariser, norm
from .splitting import HasRegulariser


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
        prior, gamma, shift = self.prior, self.gamma, 1 + self.gamma * self.ridge
        right = z + gamma * self.ridge * prior.grey() if self.ridge else z
        if prior.range()[0] == 1:
            return data.prox(right, gamma, shift)
        # S Sᵀ = I: the data term meets only the part of a state that is the analysis Sᵀ x of an image.
        image = prior.image(right)
        return (right + prior.synthesis_adjoint(shift * data.prox(image, gamma, shift) - image)) / shift

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


def split(
    prior: Prior,
    physics: LinearPhysics,
    splitting: str,
    shape: tuple[int, int, int],
    dtype: torch.dtype,
    device: torch.device | str,
) -> tuple[Regulariser, float, tuple[float, float]]:
    """The penalty without its ridge, the modulus ε of the ridge, and the extreme curvatures σ, β of f.

    Args:
        prior, physics, shape, dtype, device: see ``Splitting.operator``.
        splitting: its label, for errors.

    Raises:
        UserError: the prior is no convex penalty, or the prox of the data term has no closed form on its states.
    """
    remedy = "choose forward_backward"
    if not isinstance(prior, HasRegulariser):
        raise UserError(f"{splitting} needs a convex penalty, and {prior.label} is none: {remedy}")
    penalty = prior.without_ridge(shape, dtype, device)
    if penalty.learns_synthesis:
        raise UserError(
            f"{splitting} needs the prox of the data term in closed form, and {prior.label} learns its synthesis, so "
            f"that there is none: {remedy}"
        )
    N = normal_operator(physics)
    if not isinstance(N, FourierNormal | DiagonalNormal):
        raise UserError(
            f"{splitting} needs the prox of the data term in closed form, and that of {type(physics).__name__} has "
            f"none: {remedy}"
        )
    (least, largest), (low, high) = spectrum_bounds(N), penalty.range()
    return penalty, prior.ridge, (least * low + prior.ridge, largest * high + prior.ridge)
