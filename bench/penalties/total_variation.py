"""Total variation: norms of the gradient of an image or a volume."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from ..operators.linear_autograd import Linear, linear
from ..utils.arguments import call_label, real, switch
from ..utils.errors import UserError
from .analysis import RIDGE, SMOOTHING, WEIGHT, AnalysisPrior, WeightedAnalysis, check_nodes, group_dual_prox
from .finite_differences import gradient, gradient_adjoint, gradient_norm_squared


class TotalVariation(WeightedAnalysis):
    """``Σ ω h_δ(‖(∇x)_g‖)`` with forward differences and Neumann boundary (Rudin, Osher & Fatemi 1992).

    A group g is a pixel, over the directions (isotropic), the colour channels (coupled), both, or neither.
    K is ∇, of ``‖∇‖² < 8``, and of less than 12 for volumes.

    Args:
        weights: initial ω, ``(n, or 1 if isotropic, C, or 1 if coupled)`` for n directions.
        shape: ``(C, H, W)`` or ``(C, D, H, W)``.
        smoothing, nodes: see ``WeightedAnalysis``.
    """

    bound: Tensor

    def __init__(self, weights: Tensor, shape: tuple[int, ...], smoothing: float, nodes: int) -> None:
        super().__init__(weights, smoothing, nodes, shape[1:])
        self.axes = len(shape) - 1
        self.primal_channels, self.dual_channels = shape[0], self.axes * shape[0]
        kinds = ((-2 - self.axes, self.axes), (-1 - self.axes, shape[0]))
        self.dims = tuple(dim for (dim, most), n in zip(kinds, weights.shape, strict=True) if n < most)
        bound = torch.full_like(weights[0, 0], gradient_norm_squared(shape[1:]))
        self.register_buffer("bound", bound, persistent=False)

    def analyse(self, state: Tensor) -> Tensor:
        """``∇x``."""
        return linear(state, *self._maps())

    def adjoint(self, dual: Tensor) -> Tensor:
        """``∇ᵀu``."""
        forward, adjoint = self._maps()
        return linear(dual, adjoint, forward)

    def dual_prox(self, v: Tensor, step: Tensor) -> Tensor:
        """See ``group_dual_prox``."""
        field = v.unflatten(-1 - self.axes, (self.axes, -1))
        found = group_dual_prox(field, step, self.radii(), self.smoothing, self.dims)
        return found.flatten(-2 - self.axes, -1 - self.axes)

    def norm_squared(self) -> Tensor:
        """``‖∇‖²``, exact."""
        return self.bound

    def _maps(self) -> tuple[Linear, Linear]:
        return partial(gradient, axes=self.axes), partial(gradient_adjoint, axes=self.axes)


@dataclass(frozen=True, slots=True)
class TotalVariationPrior(AnalysisPrior):
    """Total variation, before the size of an image is known.

    Attributes:
        isotropic: whether the differences of a pixel share a norm.
        colours: whether the colour channels do.
    """

    isotropic: bool = True
    colours: bool = False

    def analysis(
        self, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device | str
    ) -> TotalVariation:
        """The penalty without its ridge; raises ``UserError`` for coupled colours of grey images."""
        self.check(shape)
        if self.colours and shape[0] == 1:
            raise UserError(
                f"{self.label} groups colours and the images are grey: choose a colour task, e.g. denoising_colour"
            )
        size = 1 if self.isotropic else len(shape) - 1, 1 if self.colours else shape[0]
        weights = torch.full(size, WEIGHT, dtype=dtype, device=device)
        return TotalVariation(weights, shape, self.smoothing, self.nodes)


def tv(
    smoothing: float = SMOOTHING,
    ridge: float = RIDGE,
    isotropic: bool = True,
    colours: bool = False,
    weight_map: int = 0,
) -> TotalVariationPrior:
    """Total variation: norms of the differences of each pixel along all axes; needs the operator ``primal_dual``.

    Args:
        smoothing: δ ≥ 0, in grey levels of [0, 1]; 0 for the norm itself.
        ridge: ε ≥ 0 of ``ε/2 ‖x − ½‖²``; with smoothing, it makes the primal–dual iteration contract.
        isotropic: whether the differences share a norm, or have absolute values and weights of their own.
        colours: whether the colour channels share a norm; colour images only.
        weight_map: n for n×n log-weights, interpolated bilinearly to one for each pixel; 0 for one number.
    """
    smoothing, ridge = real("smoothing", smoothing), real("ridge", ridge)
    switch("isotropic", isotropic)
    switch("colours", colours)
    check_nodes(weight_map)
    label = call_label(
        "tv",
        smoothing=(smoothing, SMOOTHING),
        ridge=(ridge, RIDGE),
        isotropic=(isotropic, True),
        colours=(colours, False),
        weight_map=(weight_map, 0),
    )
    return TotalVariationPrior(label, smoothing, ridge, weight_map, isotropic, colours)
