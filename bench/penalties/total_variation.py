"""Total variation: norms of the gradient of an image."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..operators.linear_autograd import linear
from ..utils.arguments import call_label, real, switch
from ..utils.errors import UserError
from .analysis import RIDGE, SMOOTHING, WEIGHT, AnalysisPrior, WeightedAnalysis, check_nodes, group_dual_prox
from .finite_differences import gradient, gradient_adjoint, gradient_norm_squared


class TotalVariation(WeightedAnalysis):
    """``Σ ω h_δ(‖(∇x)_g‖)`` with forward differences and Neumann boundary (Rudin, Osher & Fatemi 1992).

    A group g is a pixel, over the two directions (isotropic), the colour channels (coupled), both, or neither.
    K is ∇, of ``‖∇‖² < 8``.

    Args:
        weights: initial ω, ``(2, or 1 if isotropic, C, or 1 if coupled)``.
        shape: ``(C, H, W)``.
        smoothing, nodes: see ``WeightedAnalysis``.
    """

    bound: Tensor

    def __init__(self, weights: Tensor, shape: tuple[int, int, int], smoothing: float, nodes: int) -> None:
        super().__init__(weights, smoothing, nodes, shape[1:])
        self.primal_channels, self.dual_channels = shape[0], 2 * shape[0]
        kinds = ((-4, 2), (-3, shape[0]))
        self.dims = tuple(dim for (dim, most), n in zip(kinds, weights.shape, strict=True) if n < most)
        bound = torch.full_like(weights[0, 0], gradient_norm_squared(shape[1:]))
        self.register_buffer("bound", bound, persistent=False)

    def analyse(self, state: Tensor) -> Tensor:
        """``∇x``."""
        return linear(state, gradient, gradient_adjoint)

    def adjoint(self, dual: Tensor) -> Tensor:
        """``∇ᵀu``."""
        return linear(dual, gradient_adjoint, gradient)

    def dual_prox(self, v: Tensor, step: Tensor) -> Tensor:
        """See ``group_dual_prox``."""
        field = v.unflatten(-3, (2, -1))
        return group_dual_prox(field, step, self.radii(), self.smoothing, self.dims).flatten(-4, -3)

    def norm_squared(self) -> Tensor:
        """``‖∇‖²``, exact."""
        return self.bound


@dataclass(frozen=True, slots=True)
class TotalVariationPrior(AnalysisPrior):
    """Total variation, before the size of an image is known.

    Attributes:
        isotropic: whether the two differences of a pixel share a norm.
        colours: whether the colour channels do.
    """

    isotropic: bool = True
    colours: bool = False

    def analysis(
        self, shape: tuple[int, int, int], dtype: torch.dtype, device: torch.device | str
    ) -> TotalVariation:
        """The penalty without its ridge; raises ``UserError`` for coupled colours of grey images."""
        self.check(shape)
        if self.colours and shape[0] == 1:
            raise UserError(
                f"{self.label} groups colours and the images are grey: choose a colour task, e.g. denoising_colour"
            )
        size = 1 if self.isotropic else 2, 1 if self.colours else shape[0]
        weights = torch.full(size, WEIGHT, dtype=dtype, device=device)
        return TotalVariation(weights, shape, self.smoothing, self.nodes)


def tv(
    smoothing: float = SMOOTHING,
    ridge: float = RIDGE,
    isotropic: bool = True,
    colours: bool = False,
    weight_map: int = 0,
) -> TotalVariationPrior:
    """Total variation: norms of the two differences of each pixel; needs the operator ``primal_dual``.

    Args:
        smoothing: δ ≥ 0, in grey levels of [0, 1]; 0 for the norm itself.
        ridge: ε ≥ 0 of ``ε/2 ‖x − ½‖²``; with smoothing, it makes the primal–dual iteration contract.
        isotropic: whether the two differences share a norm, or have absolute values and weights of their own.
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
