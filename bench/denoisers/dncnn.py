"""DnCNN: a plain chain of convolutions, blind to the noise level; the shipped ones have a contractive residual."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from deepinv.models import DnCNN
from torch import nn

from .architectures import ARCHITECTURES, SIGMA_0
from .base import Denoiser, check_channels
from .noise_scaling import Scaled
from .weights import WeightFile, download, fill, fits_network, shipped

PUBLISHED = {1: "dncnn_sigma2_gray.pth", 3: "dncnn_sigma2_color.pth"}
PUBLISHED_SIGMA = 2 / 255
"""The noise level that deepinv's published DnCNN was trained for."""


@dataclass(frozen=True, slots=True)
class DncnnFamily:
    """deepinv's DnCNN, scaled to every noise level; with the shipped weights a compact one.

    Source: Zhang et al., *Beyond a Gaussian denoiser* (arXiv 1608.03981); with a contractive residual: Ryu et al.,
    *Plug-and-play methods provably converge* (arXiv 1905.05406).
    """

    name: str = "dncnn"

    def check(self, shape: tuple[int, int, int]) -> None:
        """Images of every size, grey or in colour. Raises ``UserError``."""
        check_channels(self.name, shape[0])

    def build(
        self, channels: int, dtype: torch.dtype, device: torch.device | str, weights: WeightFile | None
    ) -> Denoiser:
        """The denoiser; a file may fit the compact or deepinv's published architecture. Raises ``UserError``."""
        # The compact network is for grey images; of a colour image it takes the channels one by one.
        with torch.device("meta"):
            network: nn.Module = ARCHITECTURES["dncnn_grey"].build()
            published = DnCNN(channels, channels, pretrained=None, device="meta")
        sigma_0 = SIGMA_0
        if weights is None:
            tensors, source = shipped("dncnn_grey"), "dncnn_grey"
        elif weights.published:
            tensors, source = download("dncnn", PUBLISHED[channels]), PUBLISHED[channels]
            network, sigma_0 = published, PUBLISHED_SIGMA
        else:
            tensors, source = weights.tensors(), weights.source
            if fits_network(published, tensors):
                network, sigma_0 = published, PUBLISHED_SIGMA
        fill(network, tensors, source, dtype)
        return Scaled(network, sigma_0, channelwise=channels > 1 and network is not published).to(device)
