"""Total generalised variation of second order, which leaves affine images free."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..operators.linear_autograd import linear
from ..operators.splitting import check_flat
from ..utils.arguments import call_label, real
from .analysis import RIDGE, SMOOTHING, WEIGHT, AnalysisPrior, WeightedAnalysis, group_dual_prox
from .finite_differences import (
    gradient,
    gradient_adjoint,
    gradient_norm_squared,
    inner,
    strain,
    strain_adjoint,
)

SECOND = 2.0
"""The initial ratio α₀/α₁."""


class TotalGeneralisedVariation(WeightedAnalysis):
    """``min over w of Σ α₁ h_δ(|∇x − w|) + Σ α₀ h_δ(|E w|)`` (Bredies, Kunisch & Pock 2010, doi 10.1137/090769521).

    The state is ``(x, w)``, of 3C channels, and the image x. E is the symmetrised gradient of the field w, see
    ``strain``. w is left out of ``∇x − w`` where ∇ is 0 by the boundary, so that affine images cost nothing. Norms are
    those of each pixel and colour channel.

    ``K (x, w) = (∇x − w, E w)`` has ``‖K‖² ≤ b + ½ + √(b + ¼)`` with ``b = ‖∇‖²``: the largest eigenvalue of
    ``[[b, √b], [√b, 1 + b]]``, by ``‖K (x, w)‖² ≤ (‖∇‖‖x‖ + ‖w‖)² + ‖E‖²‖w‖²``.

    Args:
        weights: initial α₁ and α₀ ``(2, C)``.
        shape: ``(C, H, W)``.
        smoothing: δ.
    """

    bound: Tensor
    centre: Tensor

    def __init__(self, weights: Tensor, shape: tuple[int, ...], smoothing: float) -> None:
        super().__init__(weights, smoothing, 0, shape[1:])
        self.channels = shape[0]
        self.primal_channels, self.dual_channels = 3 * shape[0], 5 * shape[0]
        b = gradient_norm_squared(shape[1:])
        self.register_buffer(
            "bound", torch.full_like(weights[0, 0], b + 0.5 + math.sqrt(b + 0.25)), persistent=False
        )
        centre = weights.new_zeros(1, 3 * shape[0], 1, 1)
        centre[:, : shape[0]] = 0.5
        self.register_buffer("centre", centre, persistent=False)

    def analyse(self, state: Tensor) -> Tensor:
        """``(∇x − w, E w)``."""
        return linear(state, self._analyse, self._adjoint)

    def adjoint(self, dual: Tensor) -> Tensor:
        """``(∇ᵀp, Eᵀq − p)`` for ``u = (p, q)``."""
        return linear(dual, self._adjoint, self._analyse)

    def _analyse(self, state: Tensor) -> Tensor:
        x, w = state.split((self.channels, 2 * self.channels), -3)
        return torch.cat((gradient(x) - inner(w), strain(w)), -3)

    def _adjoint(self, dual: Tensor) -> Tensor:
        p, q = dual.split((2 * self.channels, 3 * self.channels), -3)
        return torch.cat((gradient_adjoint(p), strain_adjoint(q) - inner(p)), -3)

    def dual_prox(self, v: Tensor, step: Tensor) -> Tensor:
        """See ``group_dual_prox``."""
        p, q = (
            part.unflatten(-3, (n, -1))
            for n, part in zip((2, 3), v.split((2 * self.channels, 3 * self.channels), -3), strict=True)
        )
        first, second = self.radii()
        p = group_dual_prox(p, step, first, self.smoothing, (-4,))
        q = group_dual_prox(q, step, second, self.smoothing, (-4,))
        return torch.cat((p.flatten(-4, -3), q.flatten(-4, -3)), -3)

    def norm_squared(self) -> Tensor:
        """``b + ½ + √(b + ¼)``, at most 11.4."""
        return self.bound

    def image(self, state: Tensor) -> Tensor:
        """x."""
        return state[:, : self.channels]

    def synthesis_adjoint(self, image: Tensor) -> Tensor:
        """``(x, 0)``."""
        return torch.cat((image, image.new_zeros(len(image), 2 * self.channels, *image.shape[2:])), 1)

    def range(self) -> tuple[float, float]:
        """A projection."""
        return 0.0, 1.0

    def grey(self) -> Tensor:
        """``(½, 0)``."""
        return self.centre


@dataclass(frozen=True, slots=True)
class TotalGeneralisedVariationPrior(AnalysisPrior):
    """Total generalised variation, before the size of an image is known."""

    def analysis(
        self, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device | str
    ) -> TotalGeneralisedVariation:
        """The penalty without its ridge."""
        check_flat(self.label, shape)
        self.check(shape)
        weights = torch.full((2, shape[0]), WEIGHT, dtype=dtype, device=device)
        weights[1] *= SECOND
        return TotalGeneralisedVariation(weights, shape, self.smoothing)


def tgv(smoothing: float = SMOOTHING, ridge: float = RIDGE) -> TotalGeneralisedVariationPrior:
    """Total generalised variation of second order, on images and fields ``(x, w)``; needs ``primal_dual``.

    Args:
        smoothing: δ ≥ 0, in grey levels of [0, 1]; 0 for the norms themselves.
        ridge: ε ≥ 0 of ``ε/2 (‖x − ½‖² + ‖w‖²)``; with smoothing, it makes the primal–dual iteration contract.
    """
    smoothing, ridge = real("smoothing", smoothing), real("ridge", ridge)
    label = call_label("tgv", smoothing=(smoothing, SMOOTHING), ridge=(ridge, RIDGE))
    return TotalGeneralisedVariationPrior(label, smoothing, ridge, 0)
