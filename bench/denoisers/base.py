"""What every denoiser is: ``D_σ(x)`` as a module, and the family that builds one for a size of image."""

from __future__ import annotations

from abc import abstractmethod
from typing import Protocol, Self

import torch
from torch import Tensor, nn

from ..utils.errors import UserError
from .weights import WeightFile


class Denoiser(nn.Module):
    """``D_σ(x)``, differentiable in x, in σ and in its weights; always in evaluation mode."""

    @abstractmethod
    def forward(self, x: Tensor, sigma: Tensor) -> Tensor:
        """Denoise.

        Args:
            x: images ``(B, C, H, W)``, in the dtype of the weights.
            sigma: standard deviation of the noise, positive; a scalar tensor, or ``(B, 1, 1, 1)``.

        Returns:
            Images of the shape and dtype of ``x``.
        """

    def residual_lipschitz(self) -> float:
        """A certified bound on the Lipschitz constant of ``x − D_σ(x)``, for every σ; ``nan`` where none is known."""
        return float("nan")

    def train(self, mode: bool = True) -> Self:
        """Stay in evaluation mode, whatever is asked."""
        return super().train(False)


class Family(Protocol):
    """Denoisers of one kind: hashable, printable, picklable."""

    @property
    def name(self) -> str:
        """The name of the family, as a user types it."""
        ...

    def check(self, shape: tuple[int, int, int]) -> None:
        """Raise ``UserError`` for images of a ``shape`` ``(C, H, W)`` that the family cannot take."""
        ...

    def build(
        self, channels: int, dtype: torch.dtype, device: torch.device | str, weights: WeightFile | None
    ) -> Denoiser:
        """The denoiser, in evaluation mode.

        Args:
            channels: 1 or 3.
            dtype, device: of its weights.
            weights: ``None`` for those that come with the project.

        Raises:
            UserError: there are no such weights, or they do not fit.
        """
        ...


class LevelMap(Denoiser):
    """A network that takes the noise level as an image ``(B, 1, H, W)``, such as DRUNet.

    deepinv fills that image by itself only for a float or one level a sample, and then in float32.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network.eval()

    def forward(self, x: Tensor, sigma: Tensor) -> Tensor:
        """``D_σ(x)``."""
        return self.network(x, level_map(x, sigma))


def level_map(x: Tensor, sigma: Tensor) -> Tensor:
    """The noise level as an image ``(B, 1, H, W)`` in the dtype of ``x``."""
    return sigma.to(x.dtype).reshape(-1, 1, 1, 1).expand(x.shape[0], 1, *x.shape[2:])


def check_channels(name: str, channels: int) -> None:
    """Raise ``UserError`` unless images are grey or in colour."""
    if channels not in (1, 3):
        raise UserError(f"{name} takes images of 1 or 3 channels, not {channels}")


def check_sides(name: str, shape: tuple[int, int, int]) -> None:
    """Raise ``UserError`` for sides that a network of four scales would pad."""
    check_channels(name, shape[0])
    if any(side < 32 or side % 8 for side in shape[1:]):
        raise UserError(
            f"{name} takes images with sides of at least 32 pixels in multiples of 8, not {shape[2]}×{shape[1]}"
        )
