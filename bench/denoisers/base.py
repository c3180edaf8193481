"""A denoiser ``D_σ(x)`` as a module, and a family that builds one for grey or colour images."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from ..utils.errors import UserError
from .weights import WeightFile


class Denoiser(nn.Module):
    """``D_σ(x)``, differentiable in x, σ and its weights; always in evaluation mode."""

    @abstractmethod
    def forward(self, x: Tensor, sigma: Tensor) -> Tensor:
        """Images of the shape and dtype of ``x``, denoised.

        Args:
            x: images ``(B, C, H, W)``, in the dtype of the weights.
            sigma: standard deviation of the noise, positive; a scalar tensor, or ``(B, 1, 1, 1)``.
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

    def check(self, shape: tuple[int, int, int]) -> None:
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

        Args:
            channels: 1 or 3.
            dtype, device: of its weights.
            weights: ``None`` for the shipped ones.
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
