"""Norms of groups of analysis coefficients, ``g(v) = Σ_g ω_g h_δ(‖v_g‖)``, by the prox of their conjugate."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Never

import torch
from torch import Tensor, nn

from ..operators.analysis import AnalysisPenalty
from ..operators.splitting import FORWARD_BACKWARD, check_flat, no_prox
from ..utils.arguments import whole
from ..utils.errors import UserError
from .wavelets import times
from .weight_map import WeightMap

MOST_NODES = 64
"""Largest side of the grid of a weight map."""
SMOOTHING = 0.01
RIDGE = 0.02
WEIGHT = 0.02
"""The initial weight ω."""


class WeightedAnalysis(AnalysisPenalty):
    """A penalty of K s with a learnable log-weight for every kind of group, or a map of them over the pixels.

    Huber's function ``h_δ`` is ``|t| − δ/2`` beyond δ and ``t²/2δ`` within, and ``|t|`` for δ = 0.

    Args:
        weights: initial ω > 0 of the kinds of groups ``(…)``.
        smoothing: δ ≥ 0.
        nodes: n for a map: n×n log-weights for each kind, interpolated bilinearly; 0 for one number.
        size: height and width of the images, or the three sides of volumes, which have no map.
    """

    def __init__(self, weights: Tensor, smoothing: float, nodes: int, size: tuple[int, ...]) -> None:
        super().__init__()
        self.smoothing = smoothing
        self.weight_map = WeightMap(nodes, (size[-2], size[-1]), weights) if nodes else None
        sides = (nodes or 1,) * len(size)
        log_weights = weights.log().view(*weights.shape, *(1,) * len(size))
        self.log_weights = nn.Parameter(log_weights.repeat(*(1,) * weights.ndim, *sides))

    def radii(self) -> Tensor:
        """ω of each kind ``(…, 1, 1)``, three ones for volumes, or of each kind and pixel ``(…, H, W)``.

        They are the radii of the balls of the dual."""
        return (self.log_weights if self.weight_map is None else self.weight_map(self.log_weights)).exp()

    def dual_modulus(self) -> float:
        """``δ/max ω``: ``g* = Σ_g δ/(2ω_g) ‖u_g‖²`` within the balls ``‖u_g‖ ≤ ω_g``."""
        return self.smoothing / self.largest_weight()

    def largest_weight(self) -> float:
        """The largest ω of the grid: interpolation does not exceed it."""
        return float(self.log_weights.detach().max().exp())


def group_dual_prox(
    v: Tensor, step: Tensor, radius: Tensor, smoothing: float, dims: tuple[int, ...]
) -> Tensor:
    """``prox_{σg*}(v)``: ``v/(1 + σδ/ω)``, then the projection on the ball of radius ω, for every group.

    That is ``ω v / max(ω + σδ, ‖v_g‖)``.

    Args:
        v: dual coefficients.
        step: σ.
        radius: ω, broadcast with v.
        smoothing: δ.
        dims: dimensions of v over which a group extends; none for groups of one.
    """
    reach = radius + step * smoothing if smoothing else radius
    reach = reach.clamp_min(torch.finfo(v.dtype).tiny)  # a weight may have vanished
    if not dims:
        return v * (radius / torch.maximum(reach, v.abs()))
    # √ has no slope at 0. With this bound, and not yet with the least number, 1/norm² is finite in float32 too.
    sizes = v.square().sum(dims, keepdim=True).clamp_min(torch.finfo(v.dtype).tiny ** 0.5).sqrt()
    return v * (radius / torch.maximum(reach, sizes))


@dataclass(frozen=True, slots=True)
class AnalysisPrior:
    """A penalty of ``K s``, before the size of an image is known.

    Attributes:
        label: the call that made the prior, as tables show it.
        smoothing: δ, the half-width of the quadratic part around 0; 0 gives norms.
        ridge: ε, the modulus of strong convexity; 0 for none.
        nodes: n for n×n log-weights of each kind, interpolated to a map over the pixels; 0 for one number.
    """

    label: str = field(compare=False)
    smoothing: float
    ridge: float
    nodes: int

    @property
    def layers(self) -> int:
        """0: all iterations share their parameters."""
        return 0

    @property
    def smooth(self) -> bool:
        """``False``: it has no gradient step."""
        return False

    def operator(
        self, shape: tuple[int, ...], step: float, dtype: torch.dtype, device: torch.device | str
    ) -> Never:
        """Raises ``UserError``: forward–backward needs a prox that has no closed form."""
        raise UserError(no_prox(self.label, FORWARD_BACKWARD))

    def check(self, shape: tuple[int, ...], least: int = 2) -> None:
        """Raise ``UserError`` for images ``(C, H, W)`` or volumes with a side below ``least`` or the nodes of a map.

        Volumes have no map.
        """
        if self.nodes:
            check_flat(self.label, shape)
        side = max(least, self.nodes)
        if min(shape[1:]) < side:
            raise UserError(
                f"images of {times(shape[1:])} are too small for {self.label}: a side needs at least {side} pixels"
            )


def check_nodes(nodes: int) -> None:
    """Raise ``UserError`` for a ``weight_map`` that is neither 0 nor a side from 2 to ``MOST_NODES``."""
    if isinstance(nodes, bool) or nodes != 0:
        whole("weight_map", nodes, 2, MOST_NODES)
