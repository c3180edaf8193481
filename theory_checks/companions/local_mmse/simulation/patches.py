"""Patches of images on a torus."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def wrap(images: Tensor, radius: int) -> Tensor:
    """``(B, C, H, W)`` continued periodically by ``radius`` pixels on every side; ``radius ≤ H, W``."""
    return functional.pad(images, (radius,) * 4, mode="circular") if radius else images


def extract(images: Tensor, P: int) -> Tensor:
    """The P × P patch around every pixel.

    Args:
        images: ``(B, C, H, W)``.
        P: odd, at most H and W.

    Returns:
        ``(B, H·W, C·P·P)``; pixel n = row·W + column is in the middle of its patch.
    """
    return functional.unfold(wrap(images, P // 2), P).transpose(1, 2)


def centres(images: Tensor) -> Tensor:
    """The middles of those patches: ``(B, C, H, W)`` as ``(B, H·W, C)``."""
    return images.flatten(2).transpose(1, 2)


def assemble(values: Tensor, height: int) -> Tensor:
    """``(B, H·W, C)`` as images ``(B, C, H, W)``."""
    B, pixels, C = values.shape
    return values.transpose(1, 2).reshape(B, C, height, pixels // height)


def shifted(images: Tensor, down: int, right: int) -> Tensor:
    """Images moved round the torus."""
    return torch.roll(images, (down, right), (-2, -1))
