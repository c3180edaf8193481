"""Douglas–Rachford, Peaceman–Rachford and everything between: one family ``T_α`` of reflections, averaged."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Self

import torch
from deepinv.physics import LinearPhysics
from scipy.optimize import minimize_scalar
from torch import Tensor

from solvers import AdjointStages

from ..utils.arguments import call_label, real, whole
from ..utils.errors import UserError
from .base import Prior
from .data_fidelity import DataFidelity
from .data_prox import DataProxOperator, closed_form, reflection_factor, refusal, split
from .filter_douglas_rachford import FilterDouglasRachford, check_circular, eigenvalues, filter_gamma
from .normal import normal_operator, spectrum_bounds
from .plug_and_play import PlugAndPlayPrior
from .plug_and_play_douglas_rachford import PlugAndPlayDouglasRachford
from .proximal import Regulariser
from .splitting import FLATTEST, HasFilters

MAX_DEPTH = 10_000
SEARCH = 64
"""Number of intervals in the grid on which the γ of a depth is first looked for."""


class DouglasRachford(DataProxOperator):
    """``T_α = (1 − α) I + α R_g R_f`` with reflections ``R = 2 prox_γ − I``, for ``min f + g``.

    So ``T_α(z) = z + 2α (prox_{γg}(2x − z) − x)`` with ``x = prox_{γf}(z)``. The image is ``S x``, and not ``S z``: a
    fixed point z has ``x = argmin f + g`` for all α and γ. α = ½ is Douglas–Rachford, and ADMM with penalty parameter
    1/γ; α = 1 is Peaceman–Rachford (Lions & Mercier 1979; Eckstein & Bertsekas 1992).

    The factor is ``|1 − α| + α δ`` with δ the norm of the reflection ``R_f`` (Giselsson & Boyd, arXiv 1407.6723).

    Args:
        prior, gamma, ridge: see ``DataProxOperator``.
        alpha: α > 0.
    """

    image_needs_data = True

    def __init__(self, prior: Regulariser, gamma: float, ridge: float, alpha: float = 0.5) -> None:
        super().__init__(prior, gamma, ridge)
        self.alpha, self.gain = alpha, 2 * alpha

    def iterate(self, x: Tensor, data: DataFidelity) -> Tensor:
        """``T_α(z)`` for states z."""
        primal = self.data_prox(x, data)
        split = self.prior.prox(torch.lerp(x, primal, 2.0), self.gamma_of_prox)  # 2 primal − x, in one pass
        return torch.add(x, split - primal, alpha=self.gain)

    def prox_argument(self, x: Tensor, data: DataFidelity) -> tuple[Tensor, Tensor]:
        """``R_f(z)``, and γ."""
        return 2 * self.data_prox(x, data) - x, self.gamma_of_prox

    def stages(self, x: Tensor, data: DataFidelity) -> AdjointStages | None:
        """``2D − I`` and ``αH``, the derivatives of the two reflections, with the shift ``1 − α``."""
        derivative, reflection = self.derivatives(x, data)
        return AdjointStages(
            lambda u: torch.sub(2 * derivative(u), u),
            lambda u: self.alpha * reflection(u),
            shift=1 - self.alpha,
            definite=False,
        )

    def image(self, state: Tensor, data: DataFidelity | None = None) -> Tensor:
        """``S prox_{γf}(z)``."""
        assert data is not None, "the image of a state depends on the measurements"
        return self.prior.image(self.data_prox(state, data))

    def image_bound(self, spectrum: tuple[float, float]) -> float | None:
        """``(‖S‖ / (1 + γσ))²`` with σ the least curvature of f."""
        return self.prior.range()[1] / (1 + self.gamma * self.curvatures(spectrum)[0]) ** 2

    def contraction(self, spectrum: tuple[float, float]) -> float:
        """``|1 − α| + α δ``."""
        return abs(1 - self.alpha) + self.alpha * self.argument_lipschitz(spectrum)

    def argument_lipschitz(self, spectrum: tuple[float, float]) -> float:
        """δ: the norm of the reflection ``R_f``."""
        return reflection_factor(self.curvatures(spectrum), self.gamma)

    def term_sizes(self, x: Tensor, y: Tensor, largest: float) -> float:
        """See ``ProximalOperator.term_sizes``; what ``x`` rounds off stands in ``2α(prox(2x − z) − x)`` three times."""
        return (1 + 6 * self.alpha) * self.data_prox_sizes(x, y, largest)

    def with_prior(self, prior: Regulariser) -> Self:
        """The same operator with another penalty, in the dtype of its weights."""
        return type(self)(prior, self.gamma, self.ridge, self.alpha)


def best_gamma(curvatures: tuple[float, float]) -> float:
    """``γ* = 1/√(σβ)``, the γ of the smallest ``reflection_factor`` (Giselsson & Boyd, arXiv 1407.6723)."""
    return 1 / math.sqrt(curvatures[0] * curvatures[1])


def best_gamma_at_depth(curvatures: Tensor, depth: int) -> float:
    """The γ for which ``‖R_f^K e‖`` is smallest for a depth K, in the root mean square over errors e.

    Errors are spread evenly over the eigenvectors of the second derivative of f, whose eigenvalues are ``curvatures``.
    As K grows it tends to γ*, at which the slowest eigenvector is fastest. Eigenvalues that few eigenvectors have then
    count for less; in a blur, these are the largest.
    """
    values, counts = curvatures.unique(return_counts=True)
    low, high = -math.log(float(values[-1])), -math.log(float(values[0]))  # γ lies between 1/β and 1/σ
    if low == high:
        return math.exp(low)

    def log_size(log_gamma: float) -> float:
        scaled = math.exp(log_gamma) * values
        factors = ((1 - scaled) / (1 + scaled)).abs().log()
        return float(torch.logsumexp(2 * depth * factors + counts.to(values).log(), 0))

    # A few clusters of eigenvalues make a few local minima: start beside the best point of a grid.
    grid = [low + (high - low) * k / SEARCH for k in range(SEARCH + 1)]
    best = min(range(SEARCH + 1), key=lambda k: log_size(grid[k]))
    bounds = (grid[max(0, best - 1)], grid[min(SEARCH, best + 1)])
    result = minimize_scalar(log_size, bounds=bounds, method="bounded")
    return math.exp(float(result.x))  # pyright: ignore[reportAttributeAccessIssue]


@dataclass(frozen=True, slots=True)
class DouglasRachfordSplitting:
    """``T_α`` of a convex penalty, or a denoiser, and a data term with a prox in closed form.

    Attributes:
        alpha: α.
        gamma: γ; ``None`` to compute it from the curvatures of f, of which none counts as less than ``FLATTEST``·β.
            With a denoiser γ is learned, and starts here, by default at the step of the task: then, as for
            forward–backward, it decides the equilibrium.
        depth: 0 for γ*, else K for the γ of ``best_gamma_at_depth``.
    """

    label: str = field(compare=False)
    alpha: float
    gamma: float | None
    depth: int
    same_equilibrium: bool = True

    def refusal(self, prior: Prior) -> str:
        """See ``Splitting.refusal``."""
        if isinstance(prior, HasFilters):
            return self._refused_filters(prior)
        if not isinstance(prior, PlugAndPlayPrior):
            return refusal(prior, self.label)
        if prior.layers or self.depth:
            return (
                f"{self.label} learns one γ for all iterations of {prior.label}: leave layers and depth out"
            )
        return ""

    def _refused_filters(self, prior: HasFilters) -> str:
        if not prior.circular:
            return (
                f"{self.label} needs filters with a circular boundary: choose circular=True for {prior.label}, "
                "or primal_dual"
            )
        if self.alpha >= 1:
            return f"{self.label} need not converge on the coefficients of {prior.label}: choose admm, or primal_dual"
        return f"{self.label} knows no γ of a depth for {prior.label}: leave depth out" if self.depth else ""

    def operator(
        self,
        prior: Prior,
        physics: LinearPhysics,
        shape: tuple[int, ...],
        step: float,
        dtype: torch.dtype,
        device: torch.device | str,
    ) -> DouglasRachford | PlugAndPlayDouglasRachford | FilterDouglasRachford:
        """See ``Splitting.operator``; raises ``UserError`` also for an α at which nothing is known to converge."""
        if isinstance(prior, HasFilters | PlugAndPlayPrior) and (reason := self.refusal(prior)):
            raise UserError(reason)
        if isinstance(prior, HasFilters):
            penalty = prior.analysis(shape, dtype, device)
            N = normal_operator(physics)
            check_circular(N)
            gamma = filter_gamma(penalty, eigenvalues(N), prior.ridge) if self.gamma is None else self.gamma
            return FilterDouglasRachford(penalty, gamma, self.alpha, prior.ridge)
        if isinstance(prior, PlugAndPlayPrior):
            gamma = step if self.gamma is None else self.gamma
            self._check_alpha(prior, spectrum_bounds(closed_form(physics, self.label)), gamma)
            denoiser = prior.operator(shape, step, dtype, device).denoiser
            return PlugAndPlayDouglasRachford(
                denoiser, gamma, prior.sigma, self.alpha, autocast=prior.autocast
            )
        problem = split(prior, physics, self.label, shape, dtype, device)
        gamma = self._gamma(problem.curvatures) if self.gamma is None else self.gamma
        self._check_alpha(prior, problem.extremes, gamma)
        return DouglasRachford(problem.penalty, gamma, problem.ridge, self.alpha)

    def _check_alpha(self, prior: Prior, curvatures: tuple[float, float], gamma: float) -> None:
        limit = 2 / (1 + reflection_factor(curvatures, gamma))
        # α = 1 is nonexpansive even if f is not strongly convex, and T_1 may still settle.
        if not self.alpha < limit and self.alpha > 1:
            raise UserError(
                f"{self.label}: alpha must lie below 2/(1 + δ) = {limit:.6g} for {prior.label}, not {self.alpha:g}: "
                "T_α need not converge beyond"
            )

    def _gamma(self, curvatures: Tensor) -> float:
        counted = curvatures.clamp_min(FLATTEST * float(curvatures.max()))
        if self.depth:
            return best_gamma_at_depth(counted, self.depth)
        return best_gamma((float(counted.min()), float(counted.max())))


def douglas_rachford(
    alpha: float = 0.5, gamma: float | None = None, depth: int = 0
) -> DouglasRachfordSplitting:
    """``T_α`` of the reflections of the data term and the penalty; ADMM with penalty parameter 1/γ for α = ½.

    Args:
        alpha: in (0, 2/(1 + δ)) with δ < 1 the factor of the reflection of the data term; 1 is Peaceman–Rachford.
        gamma: γ > 0; by default the one with the smallest factor, known in closed form. γ starts there with a denoiser.
        depth: K > 0 for the γ with the smallest mean factor over K iterations, in place of ``gamma``; 0 for none.
    """
    alpha = real("alpha", alpha, positive=True)
    if alpha >= 2:
        raise UserError(f"alpha must lie in (0, 2), not {alpha:g}")
    gamma = None if gamma is None else real("gamma", gamma, positive=True)
    whole("depth", depth, 0, MAX_DEPTH)
    if gamma is not None and depth:
        raise UserError("gamma and depth both choose γ: give one of them")
    name = "peaceman_rachford" if alpha == 1 else "douglas_rachford"
    label = call_label(name, alpha=(alpha, 1 if alpha == 1 else 0.5), gamma=(gamma, None), depth=(depth, 0))
    return DouglasRachfordSplitting(label, alpha, gamma, depth)


def peaceman_rachford(gamma: float | None = None, depth: int = 0) -> DouglasRachfordSplitting:
    """``T_1 = R_g R_f``, the fastest of its family if f is strongly convex; arguments as for ``douglas_rachford``."""
    return douglas_rachford(1.0, gamma, depth)


def admm(rho: float | None = None) -> DouglasRachfordSplitting:
    """ADMM, which is Douglas–Rachford with γ = 1/ρ: the same iterates, up to a change of variable.

    Args:
        rho: penalty parameter ρ > 0; by default 1/γ*.
    """
    return douglas_rachford(0.5, None if rho is None else 1 / real("rho", rho, positive=True))
