"""Weighted, mixed norms of wavelet coefficients, with their exact proximity operators."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor, nn

from solvers import Regularity

from ..errors import UserError
from .data_term import DataTerm
from .forward_backward import ForwardBackward, Regulariser
from .groups import Groups, Spread, by_band
from .regularity import ShrinkageRegularity
from .wavelets import Wavelets


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
        self.spread = Spread(bands)
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

    def regularity(self, operator: ForwardBackward, data: DataTerm) -> Regularity | None:
        """Known, kinks and all."""
        return ShrinkageRegularity.of(operator, self, data)

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


def portion(t: Tensor, rest: Tensor) -> Tensor:
    """``t/(t + rest)`` of positive numbers, whose derivative loses no digits where t is much the larger.

    Autograd makes the derivative of the quotient from two parts, ``1/(t + rest)`` and ``−t/(t + rest)²``, that cancel
    there; a certificate allows a product with B to round off no more than units of ``‖B‖``.
    """
    whole = t + rest
    return torch.where(t > rest, 1 - rest / whole, t / whole)


class WeightedPenalty(Shrinkage):
    """``g(x) = Σ_g ω_g h_δ(‖(Wx)_g‖) + ε/2 ‖x − ½‖²``: learnable weights by channel, scale and orientation.

    W are orthonormal wavelets; for ``h_δ`` and the approximation see ``Shrinkage``. Without groups, ‖·‖ is the absolute
    value. The ridge pulls towards mid-grey and makes g ε-strongly convex.

    The weights in weighted norms of arXiv 2506.13239, section on learned weights; the prox is exact
    because W is orthonormal and g separable in groups of its coefficients.

    Args:
        wavelets: the transform W.
        weights: initial ``ω``, positive, ``groups.weights(C, levels)``; ``(C, levels, 3)`` without groups.
        smoothing: δ ≥ 0.
        ridge: ε ≥ 0.
        groups: what shares a norm.
    """

    def __init__(
        self,
        wavelets: Wavelets,
        weights: Tensor,
        smoothing: float,
        ridge: float,
        groups: Groups | None = None,
    ) -> None:
        super().__init__(wavelets.bands, weights, smoothing, ridge, groups or Groups())
        self.wavelets = wavelets

    def prox(self, z: Tensor, step: Tensor) -> Tensor:
        """``argmin_x g(x) + ‖x − z‖²/(2τ)``: firmly nonexpansive, and a ``1/(1+τε)`` contraction.

        Args:
            z: images ``(B, C, H, W)``.
            step: τ > 0, a scalar tensor.
        """
        return self.wavelets.synthesise(self.shrink(self.argument(z, step), step))

    def transforms(self) -> list[Wavelets]:
        """W."""
        return [self.wavelets]

    def renew(self, transforms: Sequence[Wavelets]) -> None:
        """Take the same W in another dtype."""
        (self.wavelets,) = transforms

    def analyse(self, state: Tensor) -> Tensor:
        """``W x``."""
        return self.wavelets.analyse(state)

    def argument(self, z: Tensor, step: Tensor) -> Tensor:
        """``W (z + τε/2)``."""
        return self.wavelets.analyse(z + step * self.ridge * 0.5 if self.ridge else z)

    def energy(self, x: Tensor) -> Tensor:
        """``g(x)`` of each image, ``(B,)``: what ``prox`` is the proximity operator of (used by the tests)."""
        ridge = self.ridge / 2 * (x - 0.5).square().flatten(1).sum(1)
        return self.cost(self.wavelets.analyse(x)) + ridge
