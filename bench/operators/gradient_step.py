"""A gradient step on the data term and a smooth regulariser."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import torch
from deepinv.physics import LinearPhysics
from torch import Tensor, nn

from solvers import DerivativeBounds, Map

from .base import Operator
from .data_fidelity import DataFidelity, data_fidelity


@dataclass(frozen=True, slots=True)
class Curvature:
    """Bounds on the second derivatives of a regulariser R, at its present parameters.

    Attributes:
        largest: Λ, so that ``Λ/2 ‖x‖² − R`` is convex: a Lipschitz constant of ∇R if ``weak`` is no larger.
        weak: ρ ≥ 0, so that ``R + ρ/2 ‖x‖²`` is convex; 0 for a convex R.
        proven: whether they are bounds; otherwise they are estimates.
    """

    largest: float
    weak: float = 0.0
    proven: bool = True


class SmoothRegulariser(nn.Module):
    """``R(x)`` on images, with a Lipschitz gradient; its parameters are learned."""

    @abstractmethod
    def energy(self, x: Tensor) -> Tensor:
        """``R`` of each image ``(B, C, H, W)``: ``(B,)``."""

    @abstractmethod
    def gradient(self, x: Tensor) -> Tensor:
        """``∇R(x)``, of the shape of images ``x`` ``(B, C, H, W)``; differentiable in x and the parameters."""

    @abstractmethod
    def curvature(self) -> Curvature:
        """Bounds on second derivatives at the present parameters."""

    def regularity(self, step: float, data: DataFidelity) -> DerivativeBounds | None:
        """Bounds on the derivatives of a gradient step τ on ``data`` and R; ``None`` if unknown."""
        return None

    def forward(self, x: Tensor) -> Tensor:
        """``R`` of each image."""
        return self.energy(x)


class GradientStep(Operator):
    """``T(x; y, A) = x − τ (Aᵀ(Ax − y) + ∇R(x))``, whose fixed point minimises ``½‖Ax − y‖² + R(x)``.

    J is symmetric. With the curvature of R in ``[−ρ, Λ]`` and the step s of the task, ``1/τ = 1/s + Λ/2``. That is
    below ``2/(‖A‖² + Λ)`` wherever s is below ``2/‖A‖²``, and the best step if ``s = 2/(σ_min² − ρ + ‖A‖²)``. The
    equilibrium does not depend on τ; derivatives treat it as a constant.

    Args:
        regulariser: R, with its parameters.
        step: s > 0, below ``2/‖A‖²``.
    """

    reads_parameters_on_host = True

    def __init__(self, regulariser: SmoothRegulariser, step: float) -> None:
        super().__init__()
        self.regulariser, self.data_step = regulariser, step
        self._known: tuple[list[tuple[int, int]], Curvature] | None = None  # at parameters and their versions

    def forward(
        self, x: Tensor, y: Tensor, physics: LinearPhysics, *, data: DataFidelity | None = None
    ) -> Tensor:
        """One iteration; see ``Operator.forward``."""
        descent = (data or data_fidelity(y, physics)).descent(x)
        return torch.add(x, descent - self.regulariser.gradient(x), alpha=self.step())

    def bind(self, y: Tensor, physics: LinearPhysics) -> Map:
        """See ``Operator.bind``; the step is known from here on, so that applications on a GPU wait for nothing."""
        self.curvature()
        return super().bind(y, physics)

    def step(self) -> float:
        """τ, at the present parameters."""
        return 1 / (1 / self.data_step + self.curvature().largest / 2)

    def curvature(self) -> Curvature:
        """The curvature of R; computed again when a parameter has changed."""
        versions = [(id(p), p._version) for p in self.regulariser.parameters()]
        if self._known is None or self._known[0] != versions:
            self._known = versions, self.regulariser.curvature()
        return self._known[1]

    def contraction(self, spectrum: tuple[float, float]) -> float:
        """``max(1 − τ(σ_min² − ρ), |1 − τ(σ_max² + Λ)|)``; ``nan`` if the curvature of R is an estimate."""
        bounds, step = self.curvature(), self.step()
        if not bounds.proven:
            return float("nan")
        return max(1 - step * (spectrum[0] - bounds.weak), abs(1 - step * (spectrum[1] + bounds.largest)))

    def regularity(self, data: DataFidelity) -> DerivativeBounds | None:
        """The bounds of the regulariser."""
        return self.regulariser.regularity(self.step(), data)

    def network_weights(self) -> list[nn.Parameter]:
        """The parameters of R, which have the learning rate of networks."""
        return [p for p in self.regulariser.parameters() if p.requires_grad]
