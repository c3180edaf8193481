"""Learned convolution filters under Huber's function."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad

from ..operators.analysis import FilterAnalysis
from ..operators.splitting import check_flat
from ..utils.arguments import call_label, real, whole
from ..utils.errors import UserError
from .analysis import RIDGE, SMOOTHING, WEIGHT, AnalysisPrior, WeightedAnalysis, check_nodes, group_dual_prox

NUMBER = 8
SIZE = 3
LARGEST = 11
"""Largest side of a filter."""
FINENESS = 16
"""Points of the frequency grid for each degree of the polynomial whose maximum is bounded."""


class LearnedFilters(WeightedAnalysis, FilterAnalysis):
    """``Σ_k Σ_i ω_k h_δ((a_k ∗ x)_i)`` with learnable filters a_k and circular boundary, the same for all channels.

    Filters have zero mean: they are combinations of the cosines of the DCT but the constant, as of Chen, Ranftl & Pock
    2014 (doi 10.1109/TIP.2014.2299065), and begin as these, from the smoothest.

    ``KᵀK`` is diagonal in the Fourier basis, with eigenvalues ``p(ω) = Σ_k |â_k(ω)|²``. p is a trigonometric polynomial
    of degree n = size − 1 in each of two variables. Next to a maximum it is at least ``cos(nt)`` times it at a distance
    t (M. Riesz), so its largest value on a grid of N×N frequencies, divided by ``cos²(πn/N)``, bounds it everywhere:
    for images of every size, and with N = 16n at most 4 % too large.

    Args:
        weights: initial ω ``(C, F)``, for every channel and filter.
        shape: ``(C, H, W)``.
        smoothing, nodes: see ``WeightedAnalysis``.
        size: side of the filters, odd.

    Attributes:
        entries: ``(F, size² − 1)``, the coefficients of the filters in the cosines.
    """

    cosines: Tensor

    def __init__(
        self, weights: Tensor, shape: tuple[int, ...], smoothing: float, nodes: int, size: int
    ) -> None:
        super().__init__(weights, smoothing, nodes, shape[1:])
        self.number, self.size = weights.shape[1], size
        self.primal_channels, self.dual_channels = shape[0], shape[0] * self.number
        self.register_buffer("cosines", cosines(size).to(weights), persistent=False)
        self.entries = nn.Parameter(
            torch.eye(self.number, size**2 - 1, dtype=weights.dtype, device=weights.device)
        )

    def filters(self) -> Tensor:
        """The filters a_k as kernels of a correlation, ``(F, 1, size, size)``."""
        return (self.entries @ self.cosines).view(-1, 1, self.size, self.size)

    def kernels(self) -> Tensor:
        """See ``FilterAnalysis``."""
        return self.filters()[:, 0]

    def analyse(self, state: Tensor) -> Tensor:
        """``(a_k ∗ x)_k``, ``(B, C·F, H, W)``; the filters of one channel are contiguous."""
        planes = state.flatten(0, 1)[:, None]
        return conv2d(self._around(planes), self.filters()).unflatten(0, state.shape[:2]).flatten(1, 2)

    def adjoint(self, dual: Tensor) -> Tensor:
        """``Σ_k a_kᵀ u_k``, by the filters turned by 180°."""
        planes = dual.unflatten(1, (-1, self.number))
        turned = self.filters().flip(-2, -1).transpose(0, 1)
        return conv2d(self._around(planes.flatten(0, 1)), turned).view(*planes.shape[:2], *dual.shape[2:])

    def _around(self, planes: Tensor) -> Tensor:
        return pad(planes, (self.size // 2,) * 4, mode="circular")

    def dual_prox(self, v: Tensor, step: Tensor) -> Tensor:
        """See ``group_dual_prox``."""
        planes = v.unflatten(1, (-1, self.number))
        return group_dual_prox(planes, step, self.radii(), self.smoothing, ()).flatten(1, 2)

    def norm_squared(self) -> Tensor:
        """A bound on ``‖K‖²``, at most 4 % too large."""
        degree = self.size - 1
        side = FINENESS * degree
        spectrum = torch.fft.rfft2(self.filters().detach()[:, 0], s=(side, side))
        power = torch.view_as_real(spectrum).square().sum((0, -1))
        return power.max() / math.cos(math.pi / FINENESS) ** 2


def cosines(size: int) -> Tensor:
    """The orthonormal cosines of the 2-D DCT but the constant, the smoothest first: ``(size² − 1, size²)``."""
    n = torch.arange(size, dtype=torch.float64)
    lines = torch.cos(math.pi / size * n[:, None] * (n + 0.5))
    lines = lines / lines.norm(dim=1, keepdim=True)
    planes = torch.einsum("ik,jl->ijkl", lines, lines).reshape(size**2, size**2)
    order = sorted(range(size**2), key=lambda k: ((k // size) ** 2 + (k % size) ** 2, k))
    return planes[order[1:]]


@dataclass(frozen=True, slots=True)
class LearnedFiltersPrior(AnalysisPrior):
    """Learned filters, before the size of an image is known.

    Attributes:
        number, size: F filters of size × size.
    """

    number: int = NUMBER
    size: int = SIZE

    @property
    def circular(self) -> bool:
        """``True``."""
        return True

    def analysis(
        self, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device | str
    ) -> LearnedFilters:
        """The penalty without its ridge; raises ``UserError`` for images smaller than a filter."""
        check_flat(self.label, shape)
        self.check(shape, self.size)
        weights = torch.full((shape[0], self.number), WEIGHT, dtype=dtype, device=device)
        return LearnedFilters(weights, shape, self.smoothing, self.nodes, self.size)


def filters(
    number: int = NUMBER,
    size: int = SIZE,
    smoothing: float = SMOOTHING,
    ridge: float = RIDGE,
    weight_map: int = 0,
) -> LearnedFiltersPrior:
    """Learned filters of zero mean, under Huber's function, with circular boundary; needs ``primal_dual``.

    Args:
        number: of filters, at most ``size² − 1``.
        size: side of the filters: 3, 5, 7, 9 or 11.
        smoothing: δ ≥ 0, in grey levels of [0, 1]; 0 for absolute values.
        ridge: ε ≥ 0 of ``ε/2 ‖x − ½‖²``; with smoothing, it makes the primal–dual iteration contract.
        weight_map: n for n×n log-weights of each filter, interpolated bilinearly to one for each pixel; 0 for one.
    """
    whole("size", size, SIZE, LARGEST)
    if size % 2 == 0:
        raise UserError(
            f"size must be odd, such as {size - 1} or {size + 1}, not {size}: a filter has a centre"
        )
    whole("number", number, 1, size**2 - 1)
    smoothing, ridge = real("smoothing", smoothing), real("ridge", ridge)
    check_nodes(weight_map)
    label = call_label(
        "filters",
        number=(number, NUMBER),
        size=(size, SIZE),
        smoothing=(smoothing, SMOOTHING),
        ridge=(ridge, RIDGE),
        weight_map=(weight_map, 0),
    )
    return LearnedFiltersPrior(label, smoothing, ridge, weight_map, number, size)
