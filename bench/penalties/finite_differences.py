"""Forward differences of an image with Neumann boundary, the differences of a vector field, and their adjoints.

The channels of a field are those of its vertical part, then those of its horizontal part.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

ROOT = math.sqrt(2)


def gradient(x: Tensor) -> Tensor:
    """``∇x``: images ``(..., C, H, W)`` to fields ``(..., 2C, H, W)``, 0 in the last row and column, respectively."""
    return torch.cat((_forward(x, -2), _forward(x, -1)), -3)


def gradient_adjoint(p: Tensor) -> Tensor:
    """``∇ᵀp``, the negative divergence: fields ``(..., 2C, H, W)`` to images ``(..., C, H, W)``."""
    vertical, horizontal = p.chunk(2, -3)
    return _forward_adjoint(vertical, -2) + _forward_adjoint(horizontal, -1)


def gradient_norm_squared(size: tuple[int, int]) -> float:
    """``‖∇‖² < 8`` of images of H×W: the largest eigenvalue of the Neumann Laplacian, a sum of two of a path.

    That of a path of n pixels is ``4 cos²(π/2n)``; its eigenvectors are cosines.
    """
    return sum(4 * math.cos(math.pi / (2 * n)) ** 2 for n in size)


def strain(w: Tensor) -> Tensor:
    """``E w``: the symmetrised backward differences of a field ``(..., 2C, H, W)``, ``(..., 3C, H, W)``.

    ``∂₁w₁``, ``∂₂w₂`` and ``(∂₁w₂ + ∂₂w₁)/√2``, so that the norm of a pixel is that of its symmetric 2×2 matrix.
    ``‖E‖ ≤ ‖∇‖``, since the symmetric part of a matrix is a projection of it. Differences are 0 in the
    first row and column.
    """
    vertical, horizontal = w.chunk(2, -3)
    mixed = (_backward(horizontal, -2) + _backward(vertical, -1)) / ROOT
    return torch.cat((_backward(vertical, -2), _backward(horizontal, -1), mixed), -3)


def strain_adjoint(q: Tensor) -> Tensor:
    """``Eᵀq``: ``(..., 3C, H, W)`` to ``(..., 2C, H, W)``."""
    first, second, mixed = q.chunk(3, -3)
    mixed = mixed / ROOT
    vertical = _backward_adjoint(first, -2) + _backward_adjoint(mixed, -1)
    return torch.cat((vertical, _backward_adjoint(second, -1) + _backward_adjoint(mixed, -2)), -3)


def inner(w: Tensor) -> Tensor:
    """A field with its vertical part 0 in the last row and its horizontal part 0 in the last column, where ∇ is 0."""
    vertical, horizontal = w.chunk(2, -3)
    return torch.cat((_after(_without_last(vertical, -2), -2), _after(_without_last(horizontal, -1), -1)), -3)


def _forward(x: Tensor, dim: int) -> Tensor:
    return _after(x.diff(dim=dim), dim)


def _forward_adjoint(p: Tensor, dim: int) -> Tensor:
    p = _without_last(p, dim)
    return _before(p, dim) - _after(p, dim)


def _backward(x: Tensor, dim: int) -> Tensor:
    return _before(x.diff(dim=dim), dim)


def _backward_adjoint(p: Tensor, dim: int) -> Tensor:
    p = p.narrow(dim, 1, p.shape[dim] - 1)
    return _before(p, dim) - _after(p, dim)


def _without_last(x: Tensor, dim: int) -> Tensor:
    return x.narrow(dim, 0, x.shape[dim] - 1)


def _after(x: Tensor, dim: int) -> Tensor:
    """With a zero after the end of a dimension, −2 or −1."""
    return torch.nn.functional.pad(x, (0, 0, 0, 1) if dim == -2 else (0, 1))


def _before(x: Tensor, dim: int) -> Tensor:
    return torch.nn.functional.pad(x, (0, 0, 1, 0) if dim == -2 else (1, 0))
