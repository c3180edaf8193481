"""Group shrinkage of coefficients."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Sequence
from typing import Self, cast

import torch
from torch import Tensor, nn

from solvers import DerivativeBounds

from ..operators.data_fidelity import DataFidelity
from ..operators.proximal import ProximalOperator, Regulariser
from ..utils.errors import UserError
from .groups import ExpandBands, Groups, by_band, portion
from .shrinkage_bounds import ShrinkageBounds
from .wavelets import Wavelets


class Shrinkage(Regulariser):
    """A regulariser that shrinks groups of coefficients, with a learnable log-weight for every kind of group.

    On coefficients c it is ``Σ_g ω_g h_δ(‖c_g‖) + ε/2 ‖c − m‖²``, with Huber's function ``h_δ`` (``|u| − δ/2`` beyond
    δ, ``u²/2δ`` within; ``|u|`` for δ = 0). The approximation has no weight.

    Args:
        transforms: its wavelets, with equal sizes and numbers of levels.
        weights: initial ``ω``, positive, of shape ``groups.weights(C, levels, orientations)``.
        smoothing, ridge: δ ≥ 0 and ε ≥ 0.
        groups: coefficients that share a norm.
    """

    def __init__(
        self,
        transforms: Sequence[Wavelets],
        weights: Tensor,
        smoothing: float,
        ridge: float,
        groups: Groups,
    ) -> None:
        super().__init__()
        self.bases = nn.ModuleList(transforms)
        self.expand = ExpandBands(transforms[0].bands)
        self.log_weights = nn.Parameter(weights.log())
        self.smoothing = smoothing
        self.ridge = ridge
        self.groups = groups
        self.orientations = transforms[0].orientations

    def shrink(self, c: Tensor, step: Tensor) -> Tensor:
        """The proximity operator of coefficients ``c = z + τεm`` ``(B, C, …)``, with a scalar ``step`` τ > 0."""
        if not self.groups.colours and c.shape[1] != self.log_weights.shape[0]:
            raise UserError(
                f"images of {c.shape[1]} channels do not fit a penalty of {self.log_weights.shape[0]}: build it for "
                f"their shape (C, H, W)"
            )
        shrunk = 1 + step * self.ridge
        threshold = by_band(step * self.log_weights.exp(), self.orientations)
        # Huber's prox is (z − clamp(slope·z, ±t)) / (1 + τε); the slope is 1 for the ℓ1 norm.
        slope = portion(threshold, self.smoothing * shrunk) if self.smoothing else None
        if self.groups == Groups():
            # Divide the numbers of the bands, and not those of the coefficients.
            limit, slopes = self._planes(threshold / shrunk, None if slope is None else slope / shrunk)
            scaled = c / shrunk if self.ridge else c
            clamped = torch.clamp(scaled if slopes is None else c * slopes, -limit, limit)
            return scaled - clamped
        # The same along the direction of each group: z (1 − min(slope, t/‖z_g‖)).
        limit, slopes = self._planes(threshold, slope)
        share = limit / self.magnitude(c)
        share = share.clamp(max=1) if slopes is None else torch.minimum(share, slopes)
        return c * (1 - share) / shrunk

    def magnitude(self, c: Tensor) -> Tensor:
        """The norm of the group of each coefficient."""
        return self.groups.magnitude(c, self.log_weights.shape[1])

    def regularity(self, operator: ProximalOperator, data: DataFidelity) -> DerivativeBounds | None:
        """Rigorous bounds, with kinks counted."""
        return ShrinkageBounds.of(operator, self, data)

    def dual_modulus(self) -> float:
        """``δ/max ω``: ``g* = Σ_g δ/(2ω_g) ‖u_g‖²`` within the balls ``‖u_g‖ ≤ ω_g``, for a penalty without a ridge."""
        return self.smoothing / float(self.log_weights.detach().max().exp())

    @property
    def transforms(self) -> list[Wavelets]:
        """The wavelets of the penalty."""
        return [cast(Wavelets, basis) for basis in self.bases]

    @property
    def wavelets(self) -> Wavelets:
        """The first, and for most penalties only transform."""
        return cast(Wavelets, self.bases[0])

    def defect(self) -> float:
        """A bound on ``‖WᵀW − I‖`` of each of its wavelets."""
        return max(W.defect for W in self.transforms)

    def in_float64(self) -> Self:
        """A copy in float64 whose weights are not learned; itself if it is in float64."""
        if self.log_weights.dtype == torch.float64:
            return self
        twin = copy.copy(self)
        # A shallow copy shares these registries, which the copy is about to change.
        for registry in ("_parameters", "_buffers", "_modules"):
            twin.__dict__[registry] = dict(self.__dict__[registry])
        twin.log_weights = nn.Parameter(self.log_weights.detach().double(), requires_grad=False)
        twin.bases = nn.ModuleList(W.in_float64() for W in self.transforms)
        return twin

    @abstractmethod
    def analyse(self, state: Tensor) -> Tensor:
        """The coefficients ``(B, C, …)`` of a state: linear, with the norm of the state."""

    @abstractmethod
    def argument(self, z: Tensor, step: Tensor) -> Tensor:
        """The coefficients to which ``prox`` applies ``shrink``."""

    def _planes(self, limit: Tensor, slope: Tensor | None) -> tuple[Tensor, Tensor | None]:
        if slope is None:
            return self.expand(limit), None
        limits, slopes = self.expand(torch.stack((limit, slope))).unbind()
        return limits, slopes
