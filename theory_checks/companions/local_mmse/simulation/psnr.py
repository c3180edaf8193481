"""PSNR between two reconstructions."""

from __future__ import annotations

from deepinv.loss.metric import PSNR
from torch import Tensor

METRIC = PSNR(max_pixel=1)


def psnr(a: Tensor, b: Tensor) -> float:
    """``−10 log₁₀ mean (a − b)²`` in dB with peak 1, over all pixels of all images, ``(B, C, H, W)``.

    The peak is fixed, since deepinv can also take the maximum of the image, which differs between images.
    """
    return float(METRIC(a.reshape(1, 1, 1, -1), b.reshape(1, 1, 1, -1)))
