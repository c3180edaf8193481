"""Bounds on how far the derivatives of an operator with a group shrinkage may change.

``T(s) = M s + m + c Wᵀ P(W(H s + h))`` with the group shrinkage P of ``Shrinkage``; forward–backward has c = 1, M = 0
and ``H = I − τ∇²f``, Douglas–Rachford c = 2α and ``H = 2 prox_{γf} − I``. The derivative of P jumps at kinks, where
the norm of a group is ``t/s``, with threshold t and slope s; so it has no Lipschitz constant. But in a ball of states
no group moves by more than ``d = ‖H‖ · radius``. A group whose norm is further than d from its kink stays on
its side: only the others, near their kink, can jump. With ``σ = 1 + τε``, ``ρ`` the norm of a group, and
``ρ' = max(ρ − d, kink)``, the blocks of the derivatives change at most by

=====================  ====================================  ==================================
a group                ``P'``                                ``∂P/∂log ω``
=====================  ====================================  ==================================
inside its kink        0                                     ``s(1−s) d/σ``
outside                ``(2/√3) t d/(σρ'²)``; 0 if single    ``t d/(σρ')``; 0 if single
near its kink          ``s/σ``                               ``(s t + s d)/σ``
=====================  ====================================  ==================================

and never by more than ``s/σ`` and ``2t/σ``; those of T by c times as much, and in the state by ``‖H‖`` times more.
Proof: outside, ``P' = (I − t(I − ĉĉᵀ)/ρ)/σ``, whose derivative in a unit direction has norm ``≤ (2/√3) t/(σρ²)``, and
inside ``P' = (1−s)/σ``; all eigenvalues lie in ``[(1−s)/σ, 1/σ]``. And ``∂P/∂log ω`` is ``−tĉ/σ`` outside and
``−s(1−s)c/σ`` inside, with a jump of ``s t/σ`` between.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from solvers import DerivativeChange, Map

from ..operators.data_fidelity import DataFidelity
from ..operators.promoted import PromotedIteration, moved
from ..operators.proximal import ProximalOperator, norm
from .groups import Groups, by_band, split

if TYPE_CHECKING:
    from .shrinkage import Shrinkage

CURVED = 2 / math.sqrt(3)
"""``ρ²`` times the Lipschitz constant of ``(I − ĉĉᵀ)/ρ``."""
OUTWARD = 1 + 1e-12
"""Factor on the bounds, for the rounding of their own float64 sums."""
STEPS = 40.0
"""More than the number of the other operations of a step; each rounds off one unit of its result."""
GRID = 24
"""Number of multipliers of a remainder; any is valid, and the bound is convex in their logarithm."""


@dataclass(frozen=True, slots=True, eq=False)
class ShrinkageBounds:
    """Derivative bounds of an operator with its present parameters, computed in float64.

    T is the step in exact arithmetic with the float64 matrices of the wavelets. Rounding in the dtype of the step is
    measured against float64.

    Attributes:
        operator, prior, data: the step, its penalty and its data term.
        float64: the same three in float64.
        L: Lipschitz constant of T.
        argument: that of the argument of the prox, ``‖H‖``.
        sigma: ``1 + τε``.
        t, s, rest, kink: threshold, slope, 1 − slope and kink of the group of each coefficient, ``(C or 1, …)``.
        largest: largest eigenvalue of ``AᵀA``.
    """

    operator: ProximalOperator
    prior: Shrinkage
    data: DataFidelity
    float64: tuple[ProximalOperator, Shrinkage, DataFidelity]
    L: float
    argument: float
    sigma: float
    t: Tensor
    s: Tensor
    rest: Tensor
    kink: Tensor
    largest: float
    rigorous: bool = True

    @classmethod
    @torch.no_grad()
    def of(cls, operator: ProximalOperator, prior: Shrinkage, data: DataFidelity) -> ShrinkageBounds | None:
        """The bounds of a step; ``None`` if the parameters of A are unknown or the wavelets were changed."""
        data64, spectrum = data.in_float64(), data.spectrum()
        if data64 is None or spectrum is None or not all(W.intact() for W in prior.transforms):
            return None
        prior64 = prior.in_float64()
        operator64 = operator.with_prior(prior64)
        tau = operator64.step()
        sigma = float(1 + tau * prior64.ridge)
        t = prior64.expand(by_band(tau * prior64.log_weights.exp(), prior64.orientations))
        soft = prior64.smoothing * sigma
        s = t / (soft + t) if soft else (t > 0).to(t)
        rest = soft / (soft + t) if soft else 1 - s  # for s near 1, the difference 1 − s would be rounding
        kink = torch.where(t > 0, soft + t, 0)
        # Nearly orthonormal wavelets lengthen by at most √(1 + defect), twice in a prox and twice in a synthesis.
        outward = 1 + 16 * torch.finfo(t.dtype).eps
        lengthened = ((1 + prior.defect()) ** 2 - 1) * outward
        # In H it adds up, whatever ‖H‖ is: 2 prox − I is 2 Sᵀ(…)S − I.
        synthesis = 0.0 if prior.states_are_images else lengthened
        argument = (operator64.argument_lipschitz(spectrum) + synthesis) * (1 + lengthened) * outward
        L = operator64.contraction(spectrum) * outward
        L += operator64.gain * (argument * lengthened + synthesis)
        float64 = operator64, prior64, data64
        return cls(operator, prior, data, float64, L, argument, sigma, t, s, rest, kink, spectrum[1])

    @property
    def parameters(self) -> tuple[Tensor, ...]:
        """The parameters of B: the log-weights."""
        return (self.prior.log_weights,)

    @torch.no_grad()
    def rounding(self, x: Tensor) -> float:
        """A bound on the rounding error of an application at ``x``; costs two applications below float64."""
        return self._promoted().rounding(x, self._allowance(x))

    def in_float64(self) -> Map | None:
        """T on float64 states; ``None`` if the data term has leaves, which are not in the bounds either."""
        return None if self.data.requires_grad() else self._promoted()

    def _promoted(self) -> PromotedIteration:
        operator, prior, data = self.float64
        return PromotedIteration(
            self.prior,
            lambda x: self.operator.iterate(x, self.data),
            prior,
            lambda x: operator.iterate(x, data),
        )

    def _allowance(self, x: Tensor) -> float:
        """A bound on the float64 rounding error of a step at ``x``, from the sizes of all its terms."""
        operator, prior, data = self.float64
        size = operator.term_sizes(x, data.y, self.largest)
        size += (self.sigma - 1) * 0.5 * math.sqrt(x.numel())
        size += max(1.0, operator.gain) * math.sqrt(len(x)) * norm(self.kink)
        transform = data.rounding()
        wavelets = 4 * max(W.rounding for W in prior.transforms)
        return torch.finfo(torch.float64).eps / 2 * (wavelets + transform + STEPS) * size

    @torch.no_grad()
    def change(self, x: Tensor, u: Tensor, radius: float) -> DerivativeChange:
        """See ``solvers.DerivativeBounds``; costs about an application of T, and two below float64."""
        (operator, prior, _), t, s, sigma = self.float64, self.t, self.s, self.sigma
        norms, slack = self._norms(x)
        cotangent = prior.magnitude(prior.analyse(u.double()))
        d = self.argument * radius
        near = (norms - self.kink).abs() <= d + slack
        outside = norms > self.kink
        if prior.groups == Groups():
            curved = turned = torch.zeros((), dtype=t.dtype, device=t.device)
        else:
            smallest = torch.maximum(norms - d - slack, self.kink).clamp_min(torch.finfo(t.dtype).tiny)
            turned = t * d / smallest
            curved = (CURVED * turned / smallest).minimum(s)
        jacobian = torch.where(near, s, torch.where(outside, curved, 0)) / sigma
        most = torch.where(near, s * (t + d), torch.where(outside, turned, s * self.rest * d))
        parameter = most.minimum(2 * t) / sigma
        if radius == 0 and x.dtype == torch.float64:  # the derivatives at a point, as they are computed
            jacobian, parameter = torch.zeros_like(jacobian), torch.zeros_like(parameter)
        at_x = torch.where(outside, t, s * self.rest * norms) / sigma
        # The norm of a group over orientations stands at several places.
        copies = prior.groups.copies(prior.orientations)
        inflow = self.argument * _root((jacobian * cotangent).square().sum() / copies)
        columns = self.sum_by_weight((at_x + parameter).square()) / copies
        moved = self.sum_by_weight(parameter * cotangent) / copies
        grown = OUTWARD * (1 + self.prior.defect()) * operator.gain
        return DerivativeChange(
            grown * inflow, grown * _root(moved.square().sum()), grown * _root(columns.max())
        )

    @torch.no_grad()
    def remainder(self, x: Tensor, u: Tensor, radius: float) -> float:
        """Bound ``|uᵀ(T(x') − T(x)) − (Jᵀu)ᵀ(x' − x)|`` for all x' within ``radius`` of x; costs an application.

        A coefficient at a distance δ from its kink that moves by h leaves at most ``s/σ (|h| − δ)_+``: slopes differ by
        at most s/σ, and only behind the kink. With ``w = s/σ |Wu|`` and ``‖h‖ ≤ d = ‖H‖ radius``, duality gives

            Σ w (|h| − δ)_+ ≤ μ d² + Σ (w²/(4μ) − w δ)_+    for every μ > 0,

        of which the least on a grid of μ is taken. One coefficient attains it. Groups have curvature beyond their
        kink; for them it is the change of J times the radius.
        """
        (operator, prior, _), s, sigma = self.float64, self.s, self.sigma
        if prior.groups != Groups():
            return self.change(x, u, radius).J * radius
        d = self.argument * radius
        norms, slack = self._norms(x)
        gap = ((norms - self.kink).abs() - slack).clamp_min(0)
        w = s / sigma * prior.magnitude(prior.analyse(u.double()))
        size = norm(w)
        if not size or not d:
            return 0.0
        least = size * d
        for k in range(GRID):
            mu = size / (2 * d) * 2.0 ** (-k / 2)
            least = min(least, mu * d * d + float((w.square() / (4 * mu) - w * gap).clamp_min(0).sum()))
        return OUTWARD * (1 + self.prior.defect()) * operator.gain * least

    def _norms(self, x: Tensor) -> tuple[Tensor, float | Tensor]:
        """Norms of the groups at which the prox is taken, and by how much rounding may have moved them.

        A group that may have moved to the other side of its kink counts as near it.
        """
        operator, prior, data = self.float64
        norms = prior.magnitude(prior.argument(*operator.prox_argument(x.double(), data)))
        slack = self._allowance(x)
        if x.dtype != torch.float64:
            own = self.prior.magnitude(self.prior.argument(*self.operator.prox_argument(x, self.data)))
            slack = slack + moved(own, norms, norms + self.kink)
        return norms, slack

    def sum_by_weight(self, values: Tensor) -> Tensor:
        """Sum over the batch and the coefficients of each weight: ``(B, C, …)`` to ``log_weights.shape``."""
        _, levels, orientations = self.prior.log_weights.shape
        axes = values.ndim - 2
        _, details = split(values.sum(0), levels, axes)
        # A band is a rectangle: its plain sum is deterministic on a GPU, and waits for nothing.
        sums = torch.stack([scale.flatten(2).sum(2) for scale in details], 1)
        return sums if orientations > 1 else sums.sum(2, keepdim=True)


def _root(square: Tensor) -> float:
    return math.sqrt(float(square))
