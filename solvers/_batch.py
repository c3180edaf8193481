"""Batches as matrices: one flattened sample a row."""

# torch.linalg and Tensor.backward carry no types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import torch
from torch import Tensor


def rows(x: Tensor) -> Tensor:
    """``x`` as ``(samples, entries)``; a one-dimensional ``x`` is one sample."""
    return x.reshape(x.shape[0], -1) if x.ndim > 1 else x.reshape(1, -1)


def relative(difference: Tensor, reference: Tensor) -> Tensor:
    """``‖difference‖ / ‖reference‖`` of each row, and 0 where both vanish. Shape ``(samples,)``."""
    size = torch.linalg.vector_norm(difference, dim=1)
    scale = torch.linalg.vector_norm(reference, dim=1)
    return torch.where(size == 0, size, size / scale)
