"""Three networks of receptive field exactly P × P: a patch perceptron, a ResNet, and a U-Net.

There is no down-sampling and no stride. All padding is periodic and at the front, and the layers only crop: the same
function as padding each layer, and it can be applied to a single patch too.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from . import patches

SPREAD = 0.35
"""Approximate standard deviation of a pixel; inputs are divided by that of signal plus noise."""


class LocalNetwork(nn.Module):
    """``(B y, σ) ↦ x̂``, translation-equivariant, of receptive field P.

    Args:
        body: ``(B, C + 2, P, P) ↦ (B, C, 1, 1)``, and alike for larger images: valid convolutions.
        P: its receptive field, odd.
        gain: root mean square norm of the rows of B, by which B scales the standard deviation of the noise.
    """

    def __init__(self, body: nn.Module, P: int, gain: float = 1.0) -> None:
        super().__init__()
        self.body, self.P, self.gain = body, P, gain

    def forward(self, z: Tensor, sigma: Tensor) -> Tensor:
        """Estimates.

        Args:
            z: ``B y``, ``(B, C, H, W)``.
            sigma: noise level of each image, ``(B,)``.

        Returns:
            ``(B, C, H, W)``.
        """
        level = sigma[:, None, None, None]
        scaled = z / (SPREAD**2 + (self.gain * level) ** 2).sqrt()
        # Pixels that are exactly 0 were lost. The map of them is a function of B y, but one that is hard to learn.
        inputs = torch.cat([scaled, level.expand_as(z[:, :1]), (z[:, :1] == 0).to(z.dtype)], 1)
        return self.body(patches.wrap(inputs, self.P // 2))


class Pixelwise(nn.Module):
    """A residual layer on each pixel alone: ``x + W₂ silu(W₁ norm(x))``, on ``(…, width)``."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Of the same shape."""
        return x + self.layers(x)


class PatchMLP(nn.Module):
    """A perceptron applied to every patch: a linear layer over the patch, then ``depth`` pixelwise layers."""

    def __init__(self, channels: int, P: int, width: int, depth: int) -> None:
        super().__init__()
        self.P, self.channels = P, channels
        self.first = nn.Linear((channels + 2) * P * P, width)
        self.layers = nn.Sequential(nn.SiLU(), *(Pixelwise(width) for _ in range(depth)))
        self.last = nn.Linear(width, channels)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C + 2, H, W) ↦ (B, C, H − P + 1, W − P + 1)``."""
        observed = nn.functional.unfold(x, self.P).transpose(1, 2)
        values = self.last(self.layers(self.first(observed))).transpose(1, 2)
        return values.reshape(len(x), self.channels, x.shape[2] - self.P + 1, x.shape[3] - self.P + 1)


class CroppingBlock(nn.Module):
    """``crop(x) + conv(silu(bn(x)))`` with a 3 × 3 convolution that crops a pixel on every side."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.BatchNorm2d(width), nn.SiLU(), nn.Conv2d(width, width, 3))

    def forward(self, x: Tensor) -> Tensor:
        """``(B, width, H, W) ↦ (B, width, H − 2, W − 2)``."""
        return x[..., 1:-1, 1:-1] + self.layers(x)


def resnet(channels: int, P: int, width: int) -> nn.Module:
    """A 3 × 3 layer, residual 3 × 3 blocks up to the receptive field P = 1 + 2 (blocks + 1), and pixelwise layers."""
    blocks = [CroppingBlock(width) for _ in range(P // 2 - 1)]
    mix = [nn.BatchNorm2d(width), nn.Conv2d(width, width, 1), nn.SiLU(), nn.Conv2d(width, channels, 1)]
    return nn.Sequential(nn.Conv2d(channels + 2, width, 3), *blocks, *mix)


class UNet(nn.Module):
    """A U-Net in channels alone: 3 × 3 layers down and up with skip connections; P = 1 + 4·levels, or 2 more."""

    def __init__(self, channels: int, P: int, width: int) -> None:
        super().__init__()
        steps = P // 2
        up = steps // 2
        widths = [width * 2 ** min(level, 2) for level in range(steps - up + 1)]
        self.first = nn.Conv2d(channels + 2, width, 1)
        self.down = nn.ModuleList(_convolution(a, b) for a, b in pairwise(widths))
        inner = widths[-1]
        self.up = nn.ModuleList()
        for level in reversed(range(len(widths) - 1 - up, len(widths) - 1)):
            self.up.append(_convolution(inner + widths[level], widths[level]))
            inner = widths[level]
        self.last = nn.Sequential(
            nn.Conv2d(inner, 2 * width, 1), nn.SiLU(), nn.Conv2d(2 * width, channels, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C + 2, H, W) ↦ (B, C, H − P + 1, W − P + 1)``."""
        x = self.first(x)
        skips = []
        for layer in self.down:
            skips.append(x)
            x = layer(x)
        for layer in self.up:
            x = layer(torch.cat([x, _cropped(skips.pop(), x)], 1))
        return self.last(x)


def _convolution(inner: int, outer: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(inner, outer, 3), nn.SiLU(), nn.Conv2d(outer, outer, 1), nn.SiLU())


def _cropped(x: Tensor, like: Tensor) -> Tensor:
    """The centre of ``x``, of the size of ``like``."""
    edge = (x.shape[-1] - like.shape[-1]) // 2
    return x[..., edge : x.shape[-2] - edge, edge : x.shape[-1] - edge] if edge else x


@dataclass(frozen=True, slots=True)
class PatchPerceptron:
    """The perceptron of patches."""

    width: int = 96
    depth: int = 3
    name: str = "PatchMLP"

    def __call__(self, channels: int, P: int) -> nn.Module:
        """The module for a receptive field P ≥ 1."""
        return PatchMLP(channels, P, self.width, self.depth)


@dataclass(frozen=True, slots=True)
class Residual:
    """The ResNet."""

    width: int = 48
    name: str = "ResNet"

    def __call__(self, channels: int, P: int) -> nn.Module:
        """The module for a receptive field P ≥ 3."""
        return resnet(channels, P, self.width)


@dataclass(frozen=True, slots=True)
class FlatUNet:
    """The U-Net without down-sampling."""

    width: int = 24
    name: str = "U-Net"

    def __call__(self, channels: int, P: int) -> nn.Module:
        """The module for a receptive field P ≥ 5."""
        return UNet(channels, P, self.width)


Architecture = PatchPerceptron | Residual | FlatUNet
