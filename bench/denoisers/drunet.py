"""DRUNet: a U-net of residual blocks that takes the noise level as an image."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from deepinv.models import DRUNet
from torch import nn

from .architectures import ARCHITECTURES, architecture
from .base import Denoiser, LevelMap, check_sides
from .weights import WeightFile, download, fill, fits_network, shipped

PUBLISHED = {1: "drunet_deepinv_gray_finetune_26k.pth", 3: "drunet_deepinv_color_finetune_22k.pth"}


@dataclass(frozen=True, slots=True)
class DrunetFamily:
    """deepinv's DRUNet; with the shipped weights a compact one.

    Source: Zhang et al., *Plug-and-play image restoration with deep denoiser prior* (arXiv 2008.13751).
    """

    name: str = "drunet"

    def check(self, shape: tuple[int, int, int]) -> None:
        """Sides in multiples of 8, at least 32: others deepinv would pad. Raises ``UserError``."""
        check_sides(self.name, shape)

    def build(
        self, channels: int, dtype: torch.dtype, device: torch.device | str, weights: WeightFile | None
    ) -> Denoiser:
        """The denoiser; a file may fit the compact or deepinv's published architecture. Raises ``UserError``."""
        shipped_name = architecture("drunet", channels)
        with torch.device("meta"):
            network: nn.Module = ARCHITECTURES[shipped_name].build()
            published = DRUNet(channels, channels, pretrained=None)
        if weights is None:
            tensors, source = shipped(shipped_name), shipped_name
        elif weights.published:
            tensors, source, network = download("drunet", PUBLISHED[channels]), PUBLISHED[channels], published
        else:
            tensors, source = weights.tensors(), weights.source
            network = published if fits_network(published, tensors) else network
        fill(network, tensors, source, dtype)
        return LevelMap(network).to(device)
