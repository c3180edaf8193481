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

import copy
import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn

from solvers import DerivativeBounds, DerivativeChange

from ..operators.data_fidelity import DataFidelity
from ..operators.forward_backward import ForwardBackward, Regulariser
from ..operators.normal import FourierNormal
from ..utils.errors import UserError
from .groups import ExpandBands, Groups, by_band, portion, split
from .wavelets import Wavelets

CURVED = 2 / math.sqrt(3)
"""``ρ²`` times the Lipschitz constant of ``(I − ĉĉᵀ)/ρ``."""


OUTWARD = 1 + 1e-12
"""What bounds grow by, for what their own sums round off in float64."""
TRANSFORM = 10.0
"""A pair of Fourier transforms of n pixels rounds off less than this times log₂ n units, relative to the norm."""
STEPS = 40.0
"""More than the other operations of a step: each rounds off a unit of what it makes."""


@dataclass(frozen=True, slots=True, eq=False)
class ShrinkageBounds:
    """The regularity of a forward–backward step, at the parameters of this moment, in float64 whatever its dtype.

    T is the step in exact arithmetic, with the parameters, the measurements and the kernel or mask that it has, and
    with wavelets as they are in float64. What its own dtype rounds off is measured against float64.

    Attributes:
        operator: the step.
        prior: its penalty.
        data: its measurements.
        exact: the step in float64, with its measurements; the step itself if it is in float64.
        L: its Lipschitz constant.
        sigma: ``1 + τε``.
        t, s, rest, kink: threshold, slope, 1 − slope and kink of the group at each place, ``(C or 1, H, W)``, float64.
        largest: of the eigenvalues of ``AᵀA``.
    """

    operator: ForwardBackward
    prior: Shrinkage
    data: DataFidelity
    exact: tuple[ForwardBackward, Shrinkage, DataFidelity]
    L: float
    sigma: float
    t: Tensor
    s: Tensor
    rest: Tensor
    kink: Tensor
    largest: float

    @classmethod
    @torch.no_grad()
    def of(cls, operator: ForwardBackward, prior: Shrinkage, data: DataFidelity) -> ShrinkageBounds | None:
        """That of a step; ``None`` where A does not say what it is made of, or the wavelets are not what they were."""
        there, spectrum = data.exact(), data.spectrum()
        if there is None or spectrum is None or not prior.intact():
            return None
        twin = prior.exact()
        step = operator.alike(twin)
        tau = step.step()
        sigma = float(1 + tau * twin.ridge)
        t = twin.spread(by_band(tau * twin.log_weights.exp()))
        soft = twin.smoothing * sigma
        s = t / (soft + t) if soft else (t > 0).to(t)
        rest = soft / (soft + t) if soft else 1 - s  # where s is nearly 1, the difference would be rounding
        kink = torch.where(t > 0, soft + t, 0)
        # Wavelets that are nearly orthonormal lengthen by no more than √(1 + defect), twice in a step.
        L = step.contraction(spectrum) * (1 + prior.defect()) ** 2 * (1 + 16 * torch.finfo(t.dtype).eps)
        return cls(operator, prior, data, (step, twin, there), L, sigma, t, s, rest, kink, spectrum[1])

    @property
    def rigorous(self) -> bool:
        """True."""
        return True

    @property
    def parameters(self) -> tuple[Tensor, ...]:
        """What B is the derivative in: the log-weights."""
        return (self.prior.log_weights,)

    @torch.no_grad()
    def rounding(self, x: Tensor) -> float:
        """A bound on how far an application at ``x``, as it is computed, is from T; costs two of them.

        Below float64 it is measured, against float64, and doubled: a sum in another order rounds off otherwise, but
        not more. What float64 itself rounds off is bounded by the sizes of all that a step adds up.
        """
        step, twin, there = self.exact
        allowed = self._allowance(x)
        if x.dtype == torch.float64:
            return allowed
        own = self.prior.prox(*self.operator.descend(x, self.data)).double()
        right = twin.prox(*step.descend(x.double(), there))
        return 2 * _norm(own - right) + torch.finfo(x.dtype).eps * _norm(right) + allowed

    def _allowance(self, x: Tensor) -> float:
        """A bound on what float64 rounds off in a step at ``x``, in its state and in its coefficients."""
        step, twin, there = self.exact
        tau, n = float(step.step()), there.back[0].numel()
        size = _norm(x) + tau * (self.largest * _norm(x) + math.sqrt(self.largest) * _norm(there.y))
        size += (self.sigma - 1) * 0.5 * math.sqrt(x.numel()) + math.sqrt(len(x)) * _norm(self.kink)
        transform = TRANSFORM * math.log2(2 * n) if isinstance(there.normal, FourierNormal) else 0.0
        return torch.finfo(torch.float64).eps / 2 * (4 * twin.rounding() + transform + STEPS) * size

    @torch.no_grad()
    def change(self, x: Tensor, u: Tensor, radius: float) -> DerivativeChange:
        """See ``solvers.Regularity``; costs about an application of T, and two below float64."""
        (step, prior, data), t, s, sigma = self.exact, self.t, self.s, self.sigma
        size = self._magnitude(prior.argument(*step.descend(x.double(), data)))
        cotangent = self._magnitude(prior.analyse(u.double()))
        d = self.L * sigma * radius
        # A group that rounding may have put on the other side of its kink is at its kink.
        slack = self._allowance(x)
        if x.dtype != torch.float64:
            own = self._magnitude(self.prior.argument(*self.operator.descend(x, self.data))).double()
            slack = slack + (own - size).abs() + 16 * torch.finfo(x.dtype).eps * (size + self.kink)
        near = (size - self.kink).abs() <= d + slack
        outside = size > self.kink
        if prior.groups == Groups():
            curved = turned = torch.zeros((), dtype=t.dtype, device=t.device)
        else:
            reach = torch.maximum(size - d - slack, self.kink).clamp_min(torch.finfo(t.dtype).tiny)
            turned = t * d / reach
            curved = (CURVED * turned / reach).minimum(s)
        jacobian = torch.where(near, s, torch.where(outside, curved, 0)) / sigma
        most = torch.where(near, s * (t + d), torch.where(outside, turned, s * self.rest * d))
        parameter = most.minimum(2 * t) / sigma
        if radius == 0 and x.dtype == torch.float64:  # the derivatives at a point, as they are computed
            jacobian, parameter = torch.zeros_like(jacobian), torch.zeros_like(parameter)
        here = torch.where(outside, t, s * self.rest * size) / sigma
        # The same number stands at every place of a group over orientations.
        copies = prior.groups.copies
        inflow = self.L * sigma * _root((jacobian * cotangent).square().sum() / copies)
        columns = self._columns((here + parameter).square()) / copies
        moved = self._columns(parameter * cotangent) / copies
        grown = OUTWARD * (1 + self.prior.defect())
        return DerivativeChange(
            grown * inflow, grown * _root(moved.square().sum()), grown * _root(columns.max())
        )

    def _magnitude(self, c: Tensor) -> Tensor:
        return self.prior.groups.magnitude(c, self.prior.log_weights.shape[1])

    def _columns(self, values: Tensor) -> Tensor:
        """Sums over the batch and the places of each weight: ``(B, C, H, W)`` to the shape of ``log_weights``."""
        _, levels, orientations = self.prior.log_weights.shape
        _, details = split(values.sum(0), levels)
        # A band is a rectangle: its plain sum is the same every time on a GPU, and waits for nothing.
        sums = torch.stack([scale.sum((-2, -1)) for scale in details], 1)
        return sums if orientations == 3 else sums.sum(2, keepdim=True)


def _norm(x: Tensor) -> float:
    return float(torch.linalg.vector_norm(x.detach(), dtype=torch.float64))


def _root(square: Tensor) -> float:
    return math.sqrt(float(square))


class Shrinkage(Regulariser):
    """A regulariser that shrinks groups of coefficients, by a learnable log-weight for every kind of group.

    Its function of coefficients c with magnitudes ‖c_g‖ is ``Σ_g ω_g h_δ(‖c_g‖) + ε/2 ‖c − m‖²``, with Huber's
    function ``h_δ`` (``|u| − δ/2`` beyond δ, ``u²/2δ`` within; ``|u|`` for δ = 0). The approximation has no weight.

    Args:
        bands: of ``Wavelets``, ``(H, W)``.
        weights: initial ``ω``, positive, ``groups.weights(C, levels)``.
        smoothing: δ ≥ 0.
        ridge: ε ≥ 0.
        groups: what shares a norm.
    """

    def __init__(
        self, bands: Tensor, weights: Tensor, smoothing: float, ridge: float, groups: Groups
    ) -> None:
        super().__init__()
        self.spread = ExpandBands(bands)
        self.log_weights = nn.Parameter(weights.log())
        self.smoothing = smoothing
        self.ridge = ridge
        self.groups = groups

    def shrink(self, c: Tensor, step: Tensor) -> Tensor:
        """The proximity operator in coefficients, up to the pull of the ridge towards its centre m.

        Args:
            c: coefficients plus ``τ ε m``, ``(B, C, H, W)``.
            step: τ > 0, a scalar tensor.
        """
        if not self.groups.colours and c.shape[1] != self.log_weights.shape[0]:
            raise UserError(
                f"images of {c.shape[1]} channels do not fit a penalty of {self.log_weights.shape[0]}: build it for "
                f"their shape (C, H, W)"
            )
        shrunk = 1 + step * self.ridge
        threshold = by_band(step * self.log_weights.exp())
        # Huber's prox is (z − clamp(slope·z, ±t)) / (1 + τε): the slope is 1 for the ℓ1 norm.
        slope = portion(threshold, self.smoothing * shrunk) if self.smoothing else None
        if self.groups == Groups():
            # Divided already, by band and not by place.
            limit, slopes = self._planes(threshold / shrunk, None if slope is None else slope / shrunk)
            scaled = c / shrunk if self.ridge else c
            clamped = torch.clamp(scaled if slopes is None else c * slopes, -limit, limit)
            return scaled - clamped
        # The same along the direction of each group: z (1 − min(slope, t/‖z_g‖)).
        limit, slopes = self._planes(threshold, slope)
        share = limit / self.groups.magnitude(c, self.log_weights.shape[1])
        share = share.clamp(max=1) if slopes is None else torch.minimum(share, slopes)
        return c * (1 - share) / shrunk

    def regularity(self, operator: ForwardBackward, data: DataFidelity) -> DerivativeBounds | None:
        """Known, kinks and all."""
        return ShrinkageBounds.of(operator, self, data)

    @abstractmethod
    def transforms(self) -> list[Wavelets]:
        """The wavelets that it is made of."""

    def defect(self) -> float:
        """A bound on ``‖WᵀW − I‖`` of each of its wavelets."""
        return max(W.defect for W in self.transforms())

    def rounding(self) -> float:
        """What an analysis or a synthesis rounds off, in units, relative to the norm; see ``Wavelets.rounding``."""
        return max(W.rounding for W in self.transforms())

    def intact(self) -> bool:
        """Whether its wavelets are what they were made to be."""
        return all(W.intact() for W in self.transforms())

    def exact(self) -> Self:
        """The same in float64, with weights that are not learned; itself if it is in float64."""
        if self.log_weights.dtype == torch.float64:
            return self
        twin = copy.copy(self)
        for registry in ("_parameters", "_buffers", "_modules"):
            twin.__dict__[registry] = dict(self.__dict__[registry])
        twin.log_weights = nn.Parameter(self.log_weights.detach().double(), requires_grad=False)
        twin.renew([W.exact() for W in self.transforms()])
        return twin

    @abstractmethod
    def renew(self, transforms: Sequence[Wavelets]) -> None:
        """Take the same wavelets in another dtype."""

    @abstractmethod
    def analyse(self, state: Tensor) -> Tensor:
        """The coefficients ``(B, C, H, W)`` of a state: linear, norms kept."""

    @abstractmethod
    def argument(self, z: Tensor, step: Tensor) -> Tensor:
        """The coefficients that ``prox`` gives to ``shrink``."""

    def cost(self, c: Tensor) -> Tensor:
        """``Σ_g ω_g h_δ(‖c_g‖)`` of each sample, ``(B,)``."""
        weights = self.spread(by_band(self.log_weights.exp())) / self.groups.copies
        d = self.smoothing
        size = self.groups.magnitude(c, self.log_weights.shape[1])
        huber = torch.where(size > d, size - d / 2, size.square() / (2 * d) if d else size)
        return (weights * huber).flatten(1).sum(1)

    def _planes(self, limit: Tensor, slope: Tensor | None) -> tuple[Tensor, Tensor | None]:
        if slope is None:
            return self.spread(limit), None
        limits, slopes = self.spread(torch.stack((limit, slope))).unbind()
        return limits, slopes
