"""Batches as matrices: one flattened sample a row."""

# torch.linalg and Tensor.backward carry no types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import torch
from torch import Tensor


def rows(x: Tensor) -> Tensor:
    """``x`` as ``(samples, entries)``; a one-dimensional ``x`` is one sample."""
    return x.reshape(x.shape[0], -1) if x.ndim > 1 else x.reshape(1, -1)


def norms(*matrices: Tensor) -> Tensor:
    """``‖row‖`` of each matrix, float64 ``(matrices, samples)`` on the CPU: one transfer for all."""
    return torch.stack([torch.linalg.vector_norm(m, dim=1) for m in matrices]).double().cpu()


def ratio(size: Tensor, scale: Tensor) -> Tensor:
    """``size / scale``, and 0 where both vanish."""
    return torch.where(size == 0, size, size / scale)
