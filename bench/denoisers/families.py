"""deepinv's DnCNN, DRUNet and gradient-step DRUNet; a weight file may fit the compact or the published architecture."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from deepinv.models import DnCNN, DRUNet

from ..utils.errors import UserError
from .architectures import ARCHITECTURES, COMPACT, SIGMA_0, GradientStep
from .base import Denoiser, Family, NoiseMapDenoiser, ScaledDenoiser
from .weights import WeightFile, load_network

PUBLISHED_WIDTHS = (64, 128, 256, 512)
PUBLISHED_SIGMA = 2 / 255
"""Noise level of the training of deepinv's published DnCNN, in units of the peak."""


@dataclass(frozen=True, slots=True)
class DncnnFamily(Family):
    """DnCNN, a chain of convolutions without a noise-level input, scaled to every noise level.

    The shipped network is compact and has a contractive residual. Source: Zhang et al., *Beyond a Gaussian denoiser*
    (arXiv 1608.03981); with a contractive residual: Ryu et al., *Plug-and-play methods provably converge*
    (arXiv 1905.05406).
    """

    name: str = "dncnn"

    def build(
        self, channels: int, dtype: torch.dtype, device: torch.device | str, weights: WeightFile | None
    ) -> Denoiser:
        """See ``Family.build``."""
        with torch.device("meta"):
            compact = ARCHITECTURES["dncnn_grey"].build()
            published = DnCNN(channels, channels, pretrained=None, device="meta")
        file = f"dncnn_sigma2_{'gray' if channels == 1 else 'color'}.pth"
        network = load_network(compact, published, "dncnn", file, "dncnn_grey", weights, dtype)
        if network is published:
            return ScaledDenoiser(network, PUBLISHED_SIGMA).to(device)
        # The compact network is for grey images.
        return ScaledDenoiser(network, SIGMA_0, channelwise=channels > 1).to(device)


@dataclass(frozen=True, slots=True)
class DrunetFamily(Family):
    """DRUNet, a U-net of residual blocks that takes the noise level as an image. The shipped network is compact.

    Source: Zhang et al., *Plug-and-play image restoration with deep denoiser prior* (arXiv 2008.13751).
    """

    name: str = "drunet"
    scales = 4

    def build(
        self, channels: int, dtype: torch.dtype, device: torch.device | str, weights: WeightFile | None
    ) -> Denoiser:
        """See ``Family.build``."""
        shipped = "drunet_grey" if channels == 1 else "drunet_colour"
        file = f"drunet_deepinv_{'gray_finetune_26k' if channels == 1 else 'color_finetune_22k'}.pth"
        with torch.device("meta"):
            compact = ARCHITECTURES[shipped].build()
            published = DRUNet(channels, channels, pretrained=None)
        network = load_network(compact, published, "drunet", file, shipped, weights, dtype)
        return NoiseMapDenoiser(network).to(device)


@dataclass(frozen=True, slots=True)
class GsDrunetFamily(Family):
    """The gradient step of a potential that a DRUNet defines. The project ships no weights for it.

    Source: Hurault et al., *Gradient step denoiser for convergent plug-and-play* (arXiv 2110.03220).
    """

    name: str = "gsdrunet"
    scales = 4

    def build(
        self, channels: int, dtype: torch.dtype, device: torch.device | str, weights: WeightFile | None
    ) -> Denoiser:
        """See ``Family.build``."""
        if weights is None:
            raise UserError("gsdrunet has no shipped weights: give --weights download, or --weights PATH")
        with torch.device("meta"):
            compact, published = GradientStep(channels, COMPACT), GradientStep(channels, PUBLISHED_WIDTHS)
        file = f"GSDRUNet_{'grayscale_' if channels == 1 else ''}torch.ckpt"
        network = load_network(compact, published, "gradientstep", file, "", weights, dtype)
        return NoiseMapDenoiser(network).to(device)
