"""GS-DRUNet: the gradient step of a potential that a DRUNet defines."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from deepinv.models import DRUNet
from deepinv.models.GSPnP import GSPnP
from torch import Tensor

from ..utils.errors import UserError
from .base import Denoiser, Family, NoiseMapDenoiser
from .weights import WeightFile, load_network

PUBLISHED = {1: "GSDRUNet_grayscale_torch.ckpt", 3: "GSDRUNet_torch.ckpt"}
WIDTHS = (64, 128, 256, 512)
COMPACT = (24, 48, 64, 64)


class GradientStep(GSPnP):
    """``D = I − ∇g`` with ``g(x) = ½‖x − N(x)‖²``; its weights have the names of deepinv's class.

    deepinv's own gradient is computed in float32, and detached in evaluation mode.
    """

    def potential_grad(self, x: Tensor, sigma: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        """``∇g(x) = x − N(x) − J_N(x)ᵀ (x − N(x))``, in the dtype of ``x``; differentiable if grad is enabled."""
        denoised, vjp, *_ = torch.func.vjp(lambda z: self.student_grad(z, sigma), x)
        residual = x - denoised
        return self.alpha * (residual - vjp(residual)[0])


def gradient_step(channels: int, widths: tuple[int, int, int, int]) -> GradientStep:
    """The network with its initial weights: two residual blocks a scale and smooth activations, as published."""
    return GradientStep(DRUNet(channels, channels, nc=widths, nb=2, act_mode="E", pretrained=None))


@dataclass(frozen=True, slots=True)
class GsDrunetFamily(Family):
    """deepinv's gradient-step DRUNet. The project ships no weights for it.

    Source: Hurault et al., *Gradient step denoiser for convergent plug-and-play* (arXiv 2110.03220).
    """

    name: str = "gsdrunet"
    scales = 4

    def build(
        self, channels: int, dtype: torch.dtype, device: torch.device | str, weights: WeightFile | None
    ) -> Denoiser:
        """The denoiser; a weight file may fit the published or the compact widths. Raises ``UserError``."""
        if weights is None:
            raise UserError("gsdrunet has no shipped weights: give --weights download, or --weights PATH")
        with torch.device("meta"):
            published, compact = gradient_step(channels, WIDTHS), gradient_step(channels, COMPACT)
        network = load_network(compact, published, "gradientstep", PUBLISHED[channels], "", weights, dtype)
        return NoiseMapDenoiser(network).to(device)
