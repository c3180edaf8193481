"""Complex images as two real channels."""

from __future__ import annotations

import math

import torch
from torch import Tensor

COMPLEX = 2
"""Channels of a complex image: real and imaginary part."""


def with_phase(magnitude: Tensor) -> Tensor:
    """A complex image of a grey one: ``(B, 1, H, W)`` to ``(B, 2, H, W)``; or volume, whose slices have one phase.

    The phase is smooth, as that of a receiver coil, the same for every image, and between 0 and 90°: both parts then
    lie in [0, 1] as other images do, and mid-grey lies in their middle. The phase of a whole image is arbitrary, so
    this is a choice of origin.
    """
    height, width = magnitude.shape[-2:]
    v = torch.linspace(-0.5, 0.5, height, dtype=magnitude.dtype)[:, None]
    u = torch.linspace(-0.5, 0.5, width, dtype=magnitude.dtype)[None]
    phase = math.pi / 4 * (1 + torch.sin(math.pi * u) * torch.cos(math.pi * v))
    phase = phase.to(magnitude.device)
    return torch.cat((magnitude * phase.cos(), magnitude * phase.sin()), 1)


def shown(image: Tensor) -> Tensor:
    """What is looked at and scored: the magnitude ``(B, 1, …)`` of complex images, other images as they are."""
    return image.norm(dim=1, keepdim=True) if image.shape[1] == COMPLEX else image
