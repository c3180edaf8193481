"""How far the derivatives of a forward–backward step may move: exact where a penalty shrinks groups of coefficients.

``T(s) = Wᵀ P(W(s − τ∇f(s)) + …)`` with the group shrinkage P of ``Shrinkage``. Its derivative jumps where the norm of a
group passes the kink ``t/s``, with threshold t and slope s, and no Lipschitz constant holds; but within a
ball of the state no group moves further than ``d = ‖I − τ∇²f‖ · radius``, and a group whose norm is further than d from
its kink stays on its side. With ``σ = 1 + τε``, ``ρ`` the norm of a group and ``ρ' = max(ρ − d, kink)``, the blocks of
the derivatives change, at most, by

=====================  ====================================  ==================================
a group                ``P'``                                ``∂P/∂log ω``
=====================  ====================================  ==================================
inside its kink        0                                     ``s(1−s) d/σ``
outside                ``(2/√3) t d/(σρ'²)``; 0 if single    ``t d/(σρ')``; 0 if single
at its kink            ``s/σ``                               ``(s t + s d)/σ``
=====================  ====================================  ==================================

and by no more than ``s/σ`` and ``2t/σ`` anywhere. Proof: outside, ``P' = (I − t(I − ĉĉᵀ)/ρ)/σ``, whose derivative in a
unit direction has norm ``≤ (2/√3) t/(σρ²)``, and inside it is ``(1−s)/σ``; all its eigenvalues lie in
``[(1−s)/σ, 1/σ]``. And ``∂P/∂log ω`` is ``−tĉ/σ`` outside, ``−s(1−s)c/σ`` inside, with a jump of ``s t/σ`` between.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from solvers import Change

from .groups import Groups, by_band

if TYPE_CHECKING:
    from .data_term import DataTerm
    from .forward_backward import ForwardBackward
    from .weighted import Shrinkage

CURVED = 2 / math.sqrt(3)
"""``ρ²`` times the Lipschitz constant of ``(I − ĉĉᵀ)/ρ``."""


@dataclass(frozen=True, slots=True, eq=False)
class ShrinkageRegularity:
    """The regularity of a forward–backward step, at the parameters of this moment.

    Attributes:
        operator: the step.
        prior: its penalty.
        data: its measurements.
        L: its Lipschitz constant.
        sigma: ``1 + τε``.
        t, s, kink: threshold, slope and kink of the group at each place, ``(C or 1, H, W)``.
        bands: the band of each place, ``(H·W,)``, as ``Wavelets.bands`` counts.
    """

    operator: ForwardBackward
    prior: Shrinkage
    data: DataTerm
    L: float
    sigma: float
    t: Tensor
    s: Tensor
    kink: Tensor
    bands: Tensor

    @classmethod
    @torch.no_grad()
    def of(cls, operator: ForwardBackward, prior: Shrinkage, data: DataTerm, L: float) -> ShrinkageRegularity:
        """That of a step whose Lipschitz constant is ``L``."""
        step = operator.step()
        sigma = float(1 + step * prior.ridge)
        t = prior.spread(by_band(step * prior.log_weights.exp()))
        s = t / (prior.smoothing * sigma + t) if prior.smoothing else (t > 0).to(t)
        kink = torch.where(t > 0, prior.smoothing * sigma + t, 0)
        numbers = torch.arange(1 + 3 * prior.log_weights.shape[1], device=t.device)
        return cls(operator, prior, data, L, sigma, t, s, kink, prior.spread(numbers[None])[0].flatten())

    @property
    def rigorous(self) -> bool:
        """True."""
        return True

    @torch.no_grad()
    def change(self, x: Tensor, u: Tensor, radius: float) -> Change:
        """See ``solvers.Regularity``; costs about an application of T."""
        prior, t, s, sigma = self.prior, self.t, self.s, self.sigma
        size = self._magnitude(prior.argument(*self.operator.descend(x, self.data)))
        cotangent = self._magnitude(prior.analyse(u))
        d = self.L * sigma * radius
        near = (size - self.kink).abs() <= d
        outside = size > self.kink
        if prior.groups == Groups():
            curved = turned = torch.zeros((), dtype=t.dtype, device=t.device)
        else:
            reach = torch.maximum(size - d, self.kink).clamp_min(torch.finfo(t.dtype).tiny)
            turned = t * d / reach
            curved = (CURVED * turned / reach).minimum(s)
        jacobian = torch.where(near, s, torch.where(outside, curved, 0)) / sigma
        most = torch.where(near, s * (t + d), torch.where(outside, turned, s * (1 - s) * d))
        parameter = most.minimum(2 * t) / sigma
        here = torch.where(outside, t, s * (1 - s) * size) / sigma
        # The same number stands at every place of a group over orientations.
        copies = prior.groups.copies
        inflow = self.L * sigma * _root((jacobian * cotangent).square().sum() / copies)
        columns = self._columns((here + parameter).square()) / copies
        moved = self._columns(parameter * cotangent) / copies
        return Change(inflow, _root(moved.square().sum()), _root(columns.max()))

    def _magnitude(self, c: Tensor) -> Tensor:
        return self.prior.groups.magnitude(c, self.prior.log_weights.shape[1])

    def _columns(self, values: Tensor) -> Tensor:
        """Sums over the batch and the places of each weight: ``(B, C, H, W)`` to the shape of ``log_weights``."""
        channels, levels, orientations = self.prior.log_weights.shape
        number = 1 + 3 * levels
        planes = values.sum(0).flatten(1)
        sums = torch.stack([torch.bincount(self.bands, plane, number) for plane in planes])
        details = sums[:, 1:].view(channels, levels, 3)
        return details if orientations == 3 else details.sum(2, keepdim=True)


def _root(square: Tensor) -> float:
    return math.sqrt(float(square))
