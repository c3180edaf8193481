"""Peak signal-to-noise ratio of images."""

from __future__ import annotations

from torch import Tensor

from ..tasks.base import PEAK


def psnr(x: Tensor, truth: Tensor) -> Tensor:
    """PSNR of each image of a batch in dB.

    Args:
        x, truth: images ``(B, C, H, W)`` in [0, 1]; they are not clipped.

    Returns:
        ``(B,)``, of the dtype of ``x``.
    """
    return -10 * ((x - truth).square().flatten(1).mean(1) / PEAK**2).log10()
