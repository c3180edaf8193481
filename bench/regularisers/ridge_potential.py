"""The potentials of a ridge regulariser, coefficient by coefficient, and how far they change in a ball."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class CoefficientChanges:
    """How far the functions of ``RidgePotential`` may change where each coefficient moves by at most d.

    Each has the shape of the coefficients, ``(B, C, H, W)``.

    Attributes:
        gap: the distance to the nearest kink.
        slope: of P.
        offset: of ψ; that of the part of the first kink is no larger.
        steepest: the largest ``|P|`` on the way.
    """

    gap: Tensor
    slope: Tensor
    offset: Tensor
    steepest: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class RidgePotential:
    """``h(z) = e^{−a} (φ'(e^{a+b} z) − w φ'(e^a z))``, with φ' a cut to [−1, 1].

    Attributes:
        steepness, weak: ``e^b`` and w.
        sizes: ``e^a``, ``(C, 1, 1)``.
    """

    steepness: float
    weak: float
    sizes: Tensor

    @property
    def largest_slope(self) -> float:
        """A bound on ``|h'|``, and on its changes."""
        return max(self.steepness, self.weak)

    def value(self, z: Tensor) -> Tensor:
        """``h(z)``."""
        t = self.sizes * z
        return ((self.steepness * t).clamp(-1, 1) - self.weak * t.clamp(-1, 1)) / self.sizes

    def first_linear(self, z: Tensor) -> Tensor:
        """``e^b z`` before the first kink, and 0 beyond."""
        return torch.where(z.abs() <= self._kinks()[0][0], self.steepness * z, 0)

    def offset(self, z: Tensor) -> Tensor:
        """``ψ(z) = h'(z) z − h(z)``."""
        beyond = [slope * kink * (z.abs() > kink).to(z) for kink, slope in self._kinks()]
        return -z.sign() * (beyond[0] - beyond[1])

    def changes(self, z: Tensor, d: Tensor) -> CoefficientChanges:
        """The changes between any two points within ``d`` of ``z``."""
        size = z.abs()
        gaps, slopes, offsets, steepest = [], [], [], []
        for kink, slope in self._kinks():
            if slope:
                gap = (size - kink).abs()
                near = (gap <= d).to(z)
                gaps.append(gap)
                slopes.append(slope * near)
                # The ball may reach beyond the opposite kink as well, where ψ has the other sign.
                offsets.append(slope * kink * near * (1 + (size + kink <= d).to(z)))
                steepest.append(slope * (size - d <= kink).to(z))
        slope, most = (torch.stack(parts).amax(0) for parts in (slopes, steepest))
        return CoefficientChanges(torch.stack(gaps).amin(0), slope, torch.stack(offsets).sum(0), most)

    def _kinks(self) -> tuple[tuple[Tensor, float], tuple[Tensor, float]]:
        """Each kink ``(C, 1, 1)``, with the slope before it."""
        return (1 / (self.sizes * self.steepness), self.steepness), (1 / self.sizes, self.weak)


def largest_sum(values: Tensor, gap: Tensor, distance: float) -> float:
    """A bound on the sum of ``values`` ≥ 0 over any set with ``Σ gap² ≤ distance²``.

    The sum that takes parts of values is the largest if it takes those with the most for their gap² first; here the
    last one counts as a whole.
    """
    if not distance:
        return 0.0
    weight = (gap / distance).square().flatten()
    order = (values.flatten() / weight.clamp_min(torch.finfo(weight.dtype).tiny)).argsort(descending=True)
    weight, values = weight[order], values.flatten()[order]
    before = weight.cumsum(0) - weight
    return float(values[before <= 1 + SUMMED].sum())


SUMMED = 1e-9
"""More than the rounding of a sum of weights."""
