"""A convex ridge regulariser as a penalty of its filters' coefficients, for splittings."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ..operators.analysis import FilterAnalysis
from .convolutions import convolve, convolve_adjoint
from .ridge import SIDE, RidgeRegulariser


class RidgeAnalysis(FilterAnalysis):
    """``R(x) = Σ_c ω_c Σ_i h_{δ_c}((W x)_{c,i})``, with ``ω_c = e^{α−s−a_c}`` and ``δ_c = e^{−a_c−b−s}``.

    ``h_δ`` is Huber's function, ``|t| − δ/2`` beyond δ and ``t²/(2δ)`` within. All ``δ_c/ω_c`` are ``e^{−α−b}``.

    With a circular boundary ``‖W‖²`` is bounded by one number: the symbol of ``WᵀW`` is a trigonometric polynomial of
    degree 12 with a largest value of 1 on 256×256 frequencies, so it is at most ``1/cos²(12π/256)`` (see
    ``LearnedFilters``). With zeros it is bounded by the norms of the three convolutions.

    Args:
        regulariser: R, convex, with its parameters.
    """

    primal_channels = 1

    def __init__(self, regulariser: RidgeRegulariser) -> None:
        super().__init__()
        self.regulariser = regulariser
        self.dual_channels = regulariser.scalings.shape[1]
        self.reads_parameters_on_host = not regulariser.circular

    def analyse(self, state: Tensor) -> Tensor:
        """``W x``, ``(B, 64, H, W)``."""
        return convolve(state, self.regulariser.filters(), self.regulariser.circular)

    def adjoint(self, dual: Tensor) -> Tensor:
        """``Wᵀ u``."""
        return convolve_adjoint(dual, self.regulariser.filters(), self.regulariser.circular)

    def kernels(self) -> Tensor:
        """The filters of W, ``(64, 13, 13)``, as kernels of a correlation."""
        filters = self.regulariser.filters()
        reach = sum(kernel.shape[-1] // 2 for kernel in filters)
        delta = filters[0].new_zeros(1, 1, 2 * reach + 1, 2 * reach + 1)
        delta[0, 0, reach, reach] = 1
        return convolve(delta, filters, False)[0].flip(-2, -1)

    def dual_prox(self, v: Tensor, step: Tensor) -> Tensor:
        """``ω v / max(ω + σδ, |v|)``."""
        R = self.regulariser
        weights = (R.strength - R.scale - R.scalings).exp()
        reach = weights + step * (-R.scale - R.scalings - R.steepness).exp()
        return v * (weights / torch.maximum(reach, v.abs()))

    def norm_squared(self) -> Tensor:
        """A bound on ``‖W‖²``; with a circular boundary at most 3 % too large."""
        like = self.regulariser.strength.detach()
        if not self.regulariser.circular:
            return torch.full_like(like, self.regulariser.chain().norm ** 2)
        degree = 2 * sum(kernel.shape[-1] // 2 for kernel in self.regulariser.kernels)
        return torch.full_like(like, 1 / math.cos(math.pi * degree / SIDE) ** 2)

    def dual_modulus(self) -> float:
        """``e^{−α−b}``."""
        R = self.regulariser
        return float((-R.strength - R.steepness).detach().exp())

    def largest_weight(self) -> float:
        """The largest ω."""
        R = self.regulariser
        return float((R.strength - R.scale - R.scalings).detach().max().exp())

    def network_weights(self) -> list[nn.Parameter]:
        """The parameters of R, as those of a gradient step."""
        return [p for p in self.regulariser.parameters() if p.requires_grad]
