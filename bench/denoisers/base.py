"""Denoisers ``D_σ(x)`` as modules, also of networks for one noise level; and families, which build them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from ..utils.errors import UserError
from .architectures import convolutions, residual_lipschitz
from .weights import WeightFile


class Denoiser(nn.Module):
    """``D_σ(x)``, differentiable in x, σ and its weights; always in evaluation mode."""

    @abstractmethod
    def forward(self, x: Tensor, sigma: Tensor) -> Tensor:
        """Denoise images ``x`` ``(B, C, H, W)`` in the dtype of the weights.

        ``sigma`` is the standard deviation of the noise, positive; a scalar tensor, or ``(B, 1, 1, 1)``.
        """

    def residual_lipschitz(self) -> float:
        """A certified bound on the Lipschitz constant of ``x − D_σ(x)`` for every σ; ``nan`` if none is known."""
        return float("nan")

    def train(self, mode: bool = True) -> Self:
        """Stay in evaluation mode."""
        return super().train(False)


class Family(ABC):
    """Denoisers of one kind; a frozen dataclass: hashable, printable, picklable.

    Attributes:
        name: the name on a command line.
        scales: number of scales of the network; sides must be divisible into them without padding.
    """

    name: str
    scales: ClassVar[int] = 1

    def check(self, shape: tuple[int, ...]) -> None:
        """Raise ``UserError`` for images of a ``shape`` ``(C, H, W)`` that the family cannot take."""
        channels, height, width = shape
        if channels not in (1, 3):
            raise UserError(f"{self.name} takes images of 1 or 3 channels, not {channels}")
        step, least = 2 ** (self.scales - 1), 2 ** (self.scales + 1)
        if self.scales > 1 and any(side < least or side % step for side in (height, width)):
            raise UserError(
                f"{self.name} takes images with sides of at least {least} pixels in multiples of {step}, "
                f"not {width}×{height}"
            )

    @abstractmethod
    def build(
        self, channels: int, dtype: torch.dtype, device: torch.device | str, weights: WeightFile | None
    ) -> Denoiser:
        """Build the denoiser. Raises ``UserError`` for missing weights or a misfit.

        ``channels`` is 1 or 3; ``weights`` is ``None`` for the shipped ones.
        """


class NoiseMapDenoiser(Denoiser):
    """A network that takes the noise level as an image ``(B, 1, H, W)``, such as DRUNet.

    deepinv makes that image by itself only for a float or for one level a sample, and always in float32.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network.eval()

    def forward(self, x: Tensor, sigma: Tensor) -> Tensor:
        """``D_σ(x)``."""
        return self.network(x, noise_map(x, sigma))


def noise_map(x: Tensor, sigma: Tensor) -> Tensor:
    """The noise level as an image ``(B, 1, H, W)`` in the dtype of ``x``."""
    return sigma.to(x.dtype).reshape(-1, 1, 1, 1).expand(x.shape[0], 1, *x.shape[2:])


class ScaledDenoiser(Denoiser):
    """``D_σ(x) = (σ/σ₀) D(x σ₀/σ)`` for a network D without a noise-level input, trained for σ₀.

    The scaled image has noise of level σ₀. The residual scales too, ``R_σ(x) = (σ/σ₀) R(x σ₀/σ)``, so its Lipschitz
    constant is the same for every σ. With ``channelwise``, a network for grey images denoises each channel separately.

    Source: Xu et al., *Boosting the performance of plug-and-play priors via denoiser scaling* (arXiv 2002.11546).
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
