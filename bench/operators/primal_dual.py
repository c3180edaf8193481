"""Primal–dual splitting, for penalties of ``K s`` such as total variation: Condat–Vũ and Chambolle–Pock."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass, field

import torch
from deepinv.physics import LinearPhysics
from torch import Tensor, nn

from ..utils.arguments import call_label, real
from ..utils.errors import UserError
from .analysis import AnalysisPenalty, IdentityAnalysis
from .base import Operator, Prior
from .data_fidelity import DataFidelity, data_fidelity
from .data_prox import closed_form, data_prox
from .normal import SpectralNormal, normal_operator, spectrum_bounds
from .primal_dual_factor import (
    Curvatures,
    Steps,
    best_gradient_sigma,
    best_prox_sigma,
    gradient_factor,
    gradient_slack,
    metric_extremes,
    prox_factor,
)
from .splitting import FLATTEST, SHARPEST, HasAnalysis, HasRegulariser, learned_synthesis, not_convex

PRODUCT = 0.9
"""``τσ‖K‖²`` of Chambolle–Pock. At 1, ρ is 5 % larger, but P singular."""


class PrimalDual(Operator):
    """An iteration on ``(s, u)`` for ``min_s f(s) + g(K s)``; f is the data term with a ridge.

    ``f(s) = ½‖A S s − y‖² + ε/2 ‖s − m‖²`` with m the state of mid-grey. A state ``(B, P + D, H, W)`` holds s in its
    first P channels and the dual u in the others; a fixed point has ``s = argmin f + g∘K``, for all steps. At first
    u = 0.

    The dual goes first, so that the image after one application depends on the weights; otherwise an estimator that
    records a single application would find the derivative 0.

    The steps are constants, and derivatives treat ``‖K‖`` as one: that is exact at equilibrium, whose image does not
    depend on the steps. ``σ‖K‖²`` stays as it is while K is learned, so that the iteration converges for every K.

    Args:
        penalty: g and K with their learnable parameters.
        spectrum: smallest and largest eigenvalue of ``AᵀA``, or bounds on them.
        ridge: ε ≥ 0.
        sigma: σ > 0 at the present ``‖K‖``.
    """

    def __init__(
        self, penalty: AnalysisPenalty, spectrum: tuple[float, float], ridge: float, sigma: float
    ) -> None:
        super().__init__()
        self.penalty = penalty
        self.spectrum, self.ridge = spectrum, ridge
        self.coupling = sigma * float(penalty.norm_squared())
        self.reads_parameters_on_host = penalty.reads_parameters_on_host

    def forward(
        self, x: Tensor, y: Tensor, physics: LinearPhysics, *, data: DataFidelity | None = None
    ) -> Tensor:
        """One iteration; see ``Operator.forward``."""
        data = data or data_fidelity(y, physics)
        s, u = self.primal(x), x[:, self.penalty.primal_channels :]
        sigma = self.coupling / self.penalty.norm_squared()
        dual = self.penalty.dual_prox(u + sigma * self.penalty.analyse(s), sigma)
        return torch.cat((self.primal_step(s, self.penalty.adjoint(2 * dual - u), data), dual), 1)

    @abstractmethod
    def primal_step(self, s: Tensor, pull: Tensor, data: DataFidelity) -> Tensor:
        """``s⁺`` for ``pull = Kᵀ(2u⁺ − u)``."""

    @abstractmethod
    def tau(self) -> float:
        """τ, at the present ``‖S‖``."""

    @abstractmethod
    def factor(self, steps: Steps, given: Curvatures) -> float:
        """L for the constants of a problem; see ``primal_dual_factor``."""

    def primal(self, state: Tensor) -> Tensor:
        """s of a state."""
        return state[:, : self.penalty.primal_channels]

    def start(self, image: Tensor) -> Tensor:
        """``(Sᵀ x, 0)``."""
        s = self.penalty.synthesis_adjoint(image)
        return torch.cat((s, s.new_zeros(len(s), self.penalty.dual_channels, *s.shape[2:])), 1)

    def image(self, state: Tensor, data: DataFidelity | None = None) -> Tensor:
        """``S s``."""
        return self.penalty.image(self.primal(state))

    def image_bound(self, spectrum: tuple[float, float]) -> float | None:
        """``‖S‖²``; ``None`` if S has parameters."""
        return None if self.penalty.learns_synthesis else self.penalty.range()[1]

    def contraction(self, spectrum: tuple[float, float]) -> float:
        """``nan``: T need not contract in the Euclidean norm. See ``metric_factor``."""
        return math.nan

    def metric_factor(self, spectrum: tuple[float, float]) -> float:
        """L with ``‖T(z) − T(z')‖_P ≤ L ‖z − z'‖_P`` at the present parameters; see ``primal_dual_factor``.

        1 if T is nonexpansive and no better is known, which needs a ridge (or an invertible A) and smoothing.

        Args:
            spectrum: smallest and largest eigenvalue of ``AᵀA``.
        """
        return self.factor(self.steps(), curvatures(self.penalty, spectrum, self.ridge))

    def metric(self, state: Tensor) -> Tensor:
        """``P z = (s/τ + Kᵀu, u/σ + K s)`` of states z, or of differences of states; see ``primal_dual_factor``."""
        steps, s, u = self.steps(), self.primal(state), state[:, self.penalty.primal_channels :]
        first = s / steps.tau + self.penalty.adjoint(u)
        return torch.cat((first, u / steps.sigma + self.penalty.analyse(s)), 1)

    def metric_condition(self) -> float:
        """A bound on the condition number of P: ``‖(I − J)⁻¹‖ ≤ √condition / (1 − L)`` in the Euclidean norm."""
        steps = self.steps()
        least, largest = metric_extremes(steps.tau, steps.sigma, float(self.penalty.norm_squared()))
        return largest / least

    def network_weights(self) -> list[nn.Parameter]:
        """Those of the penalty."""
        return self.penalty.network_weights()

    def steps(self) -> Steps:
        """τ and σ at the present ``‖S‖`` and ``‖K‖``; on a GPU this waits for the device."""
        return Steps(self.tau(), self.coupling / float(self.penalty.norm_squared()))


class CondatVu(PrimalDual):
    """``u⁺ = prox_{σg*}(u + σK s)``, ``s⁺ = s − τ(∇f(s) + Kᵀ(2u⁺ − u))``, with ``1/τ = m + σ‖K‖²``.

    ``m = max((μ + β)/2, 0.55 β)`` with μ and β the least and the largest curvature of f. (Condat 2013,
    doi 10.1007/s10957-012-0245-9, Algorithm 3.2; Vũ 2013, doi 10.1007/s10444-011-9254-8.)
    """

    def primal_step(self, s: Tensor, pull: Tensor, data: DataFidelity) -> Tensor:
        """A step along the gradient of f."""
        penalty = self.penalty
        descent = penalty.synthesis_adjoint(data.descent(penalty.image(s))) - pull
        if self.ridge:
            descent = torch.add(descent, s - penalty.grey(), alpha=-self.ridge)
        return torch.add(s, descent, alpha=self.tau())

    def tau(self) -> float:
        """``1/(m + σ‖K‖²)``."""
        least, largest = self.penalty.range()
        mu, beta = least * self.spectrum[0] + self.ridge, largest * self.spectrum[1] + self.ridge
        return 1 / (gradient_slack(mu, beta) + self.coupling)

    def factor(self, steps: Steps, given: Curvatures) -> float:
        """See ``gradient_factor``."""
        return gradient_factor(steps.tau, steps.sigma, given)


class ChambollePock(PrimalDual):
    """``u⁺ = prox_{σg*}(u + σK s)``, ``s⁺ = prox_{τf}(s − τKᵀ(2u⁺ − u))``, with ``τσ‖K‖² = 0.9``.

    (Chambolle & Pock 2011, doi 10.1007/s10851-010-0251-1.) ``S Sᵀ`` must be the identity.
    """

    def primal_step(self, s: Tensor, pull: Tensor, data: DataFidelity) -> Tensor:
        """The prox of f."""
        tau = self.tau()
        return data_prox(self.penalty, torch.sub(s, pull, alpha=tau), data, tau, self.ridge)

    def tau(self) -> float:
        """``0.9/(σ‖K‖²)``."""
        return PRODUCT / self.coupling

    def factor(self, steps: Steps, given: Curvatures) -> float:
        """See ``prox_factor``."""
        return prox_factor(steps.tau, steps.sigma, given)


def curvatures(penalty: AnalysisPenalty, spectrum: tuple[float, float], ridge: float) -> Curvatures:
    """The constants of a problem at the present parameters of its penalty.

    Args:
        penalty: g and K.
        spectrum: smallest and largest eigenvalue of ``AᵀA``.
        ridge: ε.
    """
    least, largest = penalty.range()
    return Curvatures(
        spectrum[0] * least + ridge,
        spectrum[1] * largest + ridge,
        penalty.dual_modulus(),
        float(penalty.norm_squared()),
    )


@dataclass(frozen=True, slots=True)
class PrimalDualSplitting:
    """Primal–dual splitting of a convex penalty and a data term.

    Attributes:
        sigma: σ at the initial parameters; ``None`` for the one with the smallest known factor.
        by_prox: whether f is taken by its prox, as in Chambolle–Pock, or by its gradient.
    """

    label: str = field(compare=False)
    sigma: float | None
    by_prox: bool
    same_equilibrium: bool = True

    def refusal(self, prior: Prior) -> str:
        """See ``Splitting.refusal``."""
        if isinstance(prior, HasAnalysis):
            return ""
        if not isinstance(prior, HasRegulariser):
            return not_convex(prior, self.label)
        return learned_synthesis(prior, self.label) if self.by_prox and prior.learns_synthesis else ""

    def operator(
        self,
        prior: Prior,
        physics: LinearPhysics,
        shape: tuple[int, ...],
        step: float,
        dtype: torch.dtype,
        device: torch.device | str,
    ) -> PrimalDual:
        """See ``Splitting.operator``.

        If the singular values of the physics are unknown, ``‖A‖² ≤ 2/step`` is relied on, as forward–backward does.
        """
        penalty = self._penalty(prior, shape, dtype, device)
        N = closed_form(physics, self.label) if self.by_prox else normal_operator(physics)
        spectrum = spectrum_bounds(N) if isinstance(N, SpectralNormal) else (0.0, 2 / step)
        assert isinstance(prior, HasAnalysis | HasRegulariser)
        sigma = self._sigma(penalty, spectrum, prior.ridge) if self.sigma is None else self.sigma
        return (ChambollePock if self.by_prox else CondatVu)(penalty, spectrum, prior.ridge, sigma)

    def _penalty(
        self,
        prior: Prior,
        shape: tuple[int, ...],
        dtype: torch.dtype,
        device: torch.device | str,
    ) -> AnalysisPenalty:
        if isinstance(prior, HasAnalysis):
            return prior.analysis(shape, dtype, device)
        if reason := self.refusal(prior):
            raise UserError(reason)
        assert isinstance(prior, HasRegulariser)
        regulariser = prior.without_ridge(shape, dtype, device)
        state = regulariser.synthesis_adjoint(torch.zeros(1, *shape, dtype=dtype, device=device))
        return IdentityAnalysis(regulariser, state.shape[1])

    def _sigma(self, penalty: AnalysisPenalty, spectrum: tuple[float, float], ridge: float) -> float:
        present = curvatures(penalty, spectrum, ridge)
        counted = Curvatures(
            max(present.least, FLATTEST * present.largest),
            present.largest,
            present.dual or SHARPEST / penalty.largest_weight(),
            present.norm_squared,
        )
        return best_prox_sigma(counted, PRODUCT) if self.by_prox else best_gradient_sigma(counted)


def primal_dual(sigma: float | None = None) -> PrimalDualSplitting:
    """Condat–Vũ: the prox of the conjugate penalty, then a gradient step on the data term, on the image and its dual.

    It takes every convex penalty, total variation and learned filters among them, and every linear physics.

    Args:
        sigma: dual step σ > 0 at the initial parameters; by default the one with the smallest factor, in closed form.
    """
    return _splitting("primal_dual", sigma, by_prox=False)


def chambolle_pock(sigma: float | None = None) -> PrimalDualSplitting:
    """Chambolle–Pock: ``primal_dual`` with the prox of the data term, which must have a closed form.

    Args:
        sigma: see ``primal_dual``.
    """
    return _splitting("chambolle_pock", sigma, by_prox=True)


def _splitting(name: str, sigma: float | None, *, by_prox: bool) -> PrimalDualSplitting:
    sigma = None if sigma is None else real("sigma", sigma, positive=True)
    return PrimalDualSplitting(call_label(name, sigma=(sigma, None)), sigma, by_prox)
