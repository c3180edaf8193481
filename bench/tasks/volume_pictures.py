"""Volumes as pictures: their middle slices."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad


def middle_slices(volumes: Tensor) -> Tensor:
    """Images ``(..., C, H, W)`` of volumes ``(..., C, D, H, W)``: the middle slices across all axes, side by side.

    Slices of fewer rows than the highest are followed by zeros.
    """
    slices = [volumes.select(axis, volumes.shape[axis] // 2) for axis in (-3, -2, -1)]
    height = max(s.shape[-2] for s in slices)
    return torch.cat([pad(s, (0, 0, 0, height - s.shape[-2])) for s in slices], -1)
