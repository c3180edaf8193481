"""Weights that are a map over pixels, of few parameters."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class WeightMap(nn.Module):
    """Log-weights on a coarse n×n grid, interpolated bilinearly to the pixels; its corners are those of the image.

    By two products with small matrices, whose derivatives are deterministic on a GPU.

    Args:
        nodes: n, at least 2.
        size: height and width, each at least 2.
        like: a tensor of the dtype and device.
    """

    rows: Tensor
    columns: Tensor

    def __init__(self, nodes: int, size: tuple[int, int], like: Tensor) -> None:
        super().__init__()
        for name, side in (("rows", size[0]), ("columns", size[1])):
            self.register_buffer(name, interpolation(nodes, side).to(like), persistent=False)

    def forward(self, values: Tensor) -> Tensor:
        """``(..., n, n)`` to ``(..., H, W)``."""
        return self.rows @ values @ self.columns.mT


def interpolation(nodes: int, side: int) -> Tensor:
    """The matrix of linear interpolation from ``nodes`` to ``side`` places on one interval, float64 ``(side, nodes)``.

    Its rows are non-negative and add up to 1.
    """
    place = torch.linspace(0, nodes - 1, side, dtype=torch.float64)
    return (1 - (place[:, None] - torch.arange(nodes)).abs()).clamp_min(0)
