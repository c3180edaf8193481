"""A deblurring in float64, and operators of it."""

from __future__ import annotations

import torch

from bench.operators import ForwardBackward
from bench.penalties import Penalty

F64, N = torch.float64, 16


def draw(seed, *shape):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


TRUTH, Y = draw(0, 2, 1, N, N), draw(1, 2, 1, N, N)

KERNEL = draw(2, 1, 1, 3, 3) / 9


def operator(ridge=0.3):
    return ForwardBackward(Penalty("h", 0.05, ridge, "haar", 2, 0.02).build((1, N, N), F64), 1.0)
