"""DRUNet: a U-net of residual blocks that takes the noise level as an image."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from deepinv.models import DRUNet

from .architectures import ARCHITECTURES
from .base import Denoiser, Family, NoiseMapDenoiser
from .weights import WeightFile, load_network

PUBLISHED = {1: "drunet_deepinv_gray_finetune_26k.pth", 3: "drunet_deepinv_color_finetune_22k.pth"}


@dataclass(frozen=True, slots=True)
class DrunetFamily(Family):
    """deepinv's DRUNet. The shipped network is compact.

    Source: Zhang et al., *Plug-and-play image restoration with deep denoiser prior* (arXiv 2008.13751).
    """

    name: str = "drunet"
    scales = 4

    def build(
        self, channels: int, dtype: torch.dtype, device: torch.device | str, weights: WeightFile | None
    ) -> Denoiser:
        """The denoiser; a weight file may fit the compact or the published architecture. Raises ``UserError``."""
        shipped = "drunet_grey" if channels == 1 else "drunet_colour"
        with torch.device("meta"):
            compact = ARCHITECTURES[shipped].build()
            published = DRUNet(channels, channels, pretrained=None)
        network = load_network(compact, published, "drunet", PUBLISHED[channels], shipped, weights, dtype)
        return NoiseMapDenoiser(network).to(device)
