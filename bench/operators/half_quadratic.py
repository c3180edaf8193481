"""Half-quadratic splitting: the prox of the data term, then that of the penalty."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from deepinv.physics import LinearPhysics
from torch import Tensor

from ..utils.arguments import call_label, real
from .base import Prior
from .data_fidelity import DataFidelity
from .data_prox import DataProxOperator, refusal, split

GAMMA = 1.0


class HalfQuadratic(DataProxOperator):
    """``T(s) = prox_{γg}(prox_{γf}(s))``: alternating minimisation of ``f(x) + g(s) + ‖x − s‖²/(2γ)``.

    Its equilibrium minimises g and the Moreau envelope of f, so it is not that of forward–backward; it tends to it as
    γ → 0. The factor is ``1/(1 + γσ)`` with σ the least curvature of f (Geman & Yang 1995; Wang, Yang, Yin & Zhang
    2008).
    """

    def iterate(self, x: Tensor, data: DataFidelity) -> Tensor:
        """One iteration; see ``ProximalOperator.iterate``."""
        return self.prior.prox(*self.prox_argument(x, data))

    def prox_argument(self, x: Tensor, data: DataFidelity) -> tuple[Tensor, Tensor]:
        """``prox_{γf}(s)``, and γ."""
        return self.data_prox(x, data), self.gamma_of_prox

    def image(self, state: Tensor, data: DataFidelity | None = None) -> Tensor:
        """``S s``."""
        return self.prior.image(state)

    def image_bound(self, spectrum: tuple[float, float]) -> float | None:
        """``‖S‖²``."""
        return self.prior.range()[1]

    def contraction(self, spectrum: tuple[float, float]) -> float:
        """``1/(1 + γσ)``."""
        return 1 / (1 + self.gamma * self.curvatures(spectrum)[0])

    def argument_lipschitz(self, spectrum: tuple[float, float]) -> float:
        """The same: a prox without a ridge is nonexpansive."""
        return self.contraction(spectrum)

    def term_sizes(self, x: Tensor, y: Tensor, largest: float) -> float:
        """See ``ProximalOperator.term_sizes``."""
        return self.data_prox_sizes(x, y, largest)


@dataclass(frozen=True, slots=True)
class HalfQuadraticSplitting:
    """Half-quadratic splitting of a convex penalty and a data term with a prox in closed form.

    Attributes:
        gamma: γ.
    """

    label: str = field(compare=False)
    gamma: float
    same_equilibrium: bool = False

    def refusal(self, prior: Prior) -> str:
        """See ``Splitting.refusal``."""
        return refusal(prior, self.label)

    def operator(
        self,
        prior: Prior,
        physics: LinearPhysics,
        shape: tuple[int, ...],
        step: float,
        dtype: torch.dtype,
        device: torch.device | str,
    ) -> HalfQuadratic:
        """See ``Splitting.operator``."""
        problem = split(prior, physics, self.label, shape, dtype, device)
        return HalfQuadratic(problem.penalty, self.gamma, problem.ridge)


def half_quadratic(gamma: float = GAMMA) -> HalfQuadraticSplitting:
    """The prox of the data term, then that of the penalty; its equilibrium is one of its own.

    Args:
        gamma: γ > 0; the smaller it is, the closer is the equilibrium to that of the other operators, and the slower
            the iteration.
    """
    gamma = real("gamma", gamma, positive=True)
    return HalfQuadraticSplitting(call_label("half_quadratic", gamma=(gamma, GAMMA)), gamma)
