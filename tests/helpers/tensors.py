"""Random tensors of a seed."""

from __future__ import annotations

import torch
from torch import Tensor

F64 = torch.float64


def draw(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=F64)
