"""GS-DRUNet: the gradient step of a potential that a DRUNet defines."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from deepinv.models import DRUNet
from deepinv.models.GSPnP import GSPnP
from torch import Tensor

from ..utils.errors import UserError
from .base import Denoiser, LevelMap, check_sides
from .weights import WeightFile, download, fill, fits_network

PUBLISHED = {1: "GSDRUNet_grayscale_torch.ckpt", 3: "GSDRUNet_torch.ckpt"}
WIDTHS = (64, 128, 256, 512)
COMPACT = (24, 48, 64, 64)


class GradientStep(GSPnP):
    """``D = I − ∇g`` with ``g(x) = ½‖x − N(x)‖²``; the names of its weights are those of deepinv's class.

    deepinv's computes in float32 and detaches its result unless it is told to train.
    """

    def potential_grad(self, x: Tensor, sigma: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        """``∇g(x) = x − N(x) − J_N(x)ᵀ (x − N(x))``, in the dtype of ``x`` and differentiable where grad is enabled."""
        made = torch.func.vjp(lambda z: self.student_grad(z, sigma), x)
        gap = x - made[0]
        return self.alpha * (gap - made[1](gap)[0])


def gradient_step(channels: int, widths: tuple[int, int, int, int]) -> GradientStep:
    """The network with its initial weights: two residual blocks a scale and smooth activations, as published."""
    return GradientStep(DRUNet(channels, channels, nc=widths, nb=2, act_mode="E", pretrained=None))


@dataclass(frozen=True, slots=True)
class GsDrunetFamily:
    """The gradient-step DRUNet of deepinv. The project ships no weights for it.

    Source: Hurault et al., *Gradient step denoiser for convergent plug-and-play* (arXiv 2110.03220).
    """

    name: str = "gsdrunet"

    def check(self, shape: tuple[int, int, int]) -> None:
        """Sides in multiples of 8, at least 32: others deepinv would pad. Raises ``UserError``."""
        check_sides(self.name, shape)

    def build(
        self, channels: int, dtype: torch.dtype, device: torch.device | str, weights: WeightFile | None
    ) -> Denoiser:
        """The denoiser; a file may fit the published widths or the compact ones. Raises ``UserError``."""
        if weights is None:
            raise UserError("gsdrunet has no shipped weights: give --weights download, or --weights PATH")
        with torch.device("meta"):
            network, compact = gradient_step(channels, WIDTHS), gradient_step(channels, COMPACT)
        if weights.published:
            tensors, source = download("gradientstep", PUBLISHED[channels]), PUBLISHED[channels]
        else:
            tensors, source = weights.tensors(), weights.source
            network = compact if fits_network(compact, tensors) else network
        fill(network, tensors, source, dtype)
        return LevelMap(network).to(device)
