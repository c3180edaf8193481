"""Denoiser scaling: one network, trained for one noise level, serves every noise level."""

from __future__ import annotations

from torch import Tensor, nn

from .architectures import convolutions, residual_lipschitz
from .base import Denoiser


class ScaledDenoiser(Denoiser):
    """``D_σ(x) = (σ/σ₀) D(x σ₀/σ)`` for a network D without a noise-level input, trained for σ₀.

    The scaled image has noise of level σ₀. The residual scales too, ``R_σ(x) = (σ/σ₀) R(x σ₀/σ)``, so its Lipschitz
    constant is the same for every σ.

    Source: Xu et al., *Boosting the performance of plug-and-play priors via denoiser scaling* (arXiv 2002.11546).

    Args:
        network: a chain of convolutions with ReLU and a skip connection: deepinv's DnCNN.
        sigma_0: σ₀, in units of the peak.
        channelwise: the network is for grey images, and denoises each channel separately.
    """

    def __init__(self, network: nn.Module, sigma_0: float, *, channelwise: bool = False) -> None:
        super().__init__()
        self.network = network.eval()
        self.sigma_0 = sigma_0
        self.channelwise = channelwise

    def forward(self, x: Tensor, sigma: Tensor) -> Tensor:
        """``D_σ(x)``."""
        scale = sigma.to(x.dtype) / self.sigma_0
        scaled = x / scale
        if self.channelwise:
            return scale * self.network(scaled.flatten(0, 1)[:, None]).reshape(x.shape)
        return scale * self.network(scaled)

    def residual_lipschitz(self) -> float:
        """The product of the norms of the layers, also if channels are denoised separately."""
        # Wide layers on a fine grid take minutes; a coarse grid costs 4 % a layer.
        wide = any(layer.out_channels > 32 for layer in convolutions(self.network))
        return residual_lipschitz(self.network, 16 if wide else 64)
