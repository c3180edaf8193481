"""DnCNN: a plain chain of convolutions without a noise-level input; the shipped ones have a contractive residual."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from deepinv.models import DnCNN

from .architectures import ARCHITECTURES, SIGMA_0
from .base import Denoiser, Family
from .noise_scaling import ScaledDenoiser
from .weights import WeightFile, load_network

PUBLISHED = {1: "dncnn_sigma2_gray.pth", 3: "dncnn_sigma2_color.pth"}
PUBLISHED_SIGMA = 2 / 255
"""Noise level of the training of deepinv's published DnCNN, in units of the peak."""


@dataclass(frozen=True, slots=True)
class DncnnFamily(Family):
    """deepinv's DnCNN, scaled to every noise level. The shipped network is compact.

    Source: Zhang et al., *Beyond a Gaussian denoiser* (arXiv 1608.03981); with a contractive residual: Ryu et al.,
    *Plug-and-play methods provably converge* (arXiv 1905.05406).
    """

    name: str = "dncnn"

    def build(
        self, channels: int, dtype: torch.dtype, device: torch.device | str, weights: WeightFile | None
    ) -> Denoiser:
        """The denoiser; a weight file may fit the compact or the published architecture. Raises ``UserError``."""
        with torch.device("meta"):
            compact = ARCHITECTURES["dncnn_grey"].build()
            published = DnCNN(channels, channels, pretrained=None, device="meta")
        network = load_network(compact, published, "dncnn", PUBLISHED[channels], "dncnn_grey", weights, dtype)
        if network is published:
            return ScaledDenoiser(network, PUBLISHED_SIGMA).to(device)
        # The compact network is for grey images.
        return ScaledDenoiser(network, SIGMA_0, channelwise=channels > 1).to(device)
