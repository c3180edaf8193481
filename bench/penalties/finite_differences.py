"""Forward differences of an image or a volume with Neumann boundary, those of a vector field, and their adjoints.

The channels of a field are those of its part along the first axis, then along the next: of an image, vertical and
horizontal.
"""

from __future__ import annotations

import math
from functools import reduce

import torch
from torch import Tensor

ROOT = math.sqrt(2)


def gradient(x: Tensor, axes: int = 2) -> Tensor:
    """``∇x``: images ``(..., C, H, W)`` to fields ``(..., 2C, H, W)``, 0 in the last row and column, respectively.

    With three ``axes``, volumes ``(..., C, D, H, W)`` to ``(..., 3C, D, H, W)``.
    """
    return torch.cat([_forward(x, axis) for axis in range(-axes, 0)], -1 - axes)


def gradient_adjoint(p: Tensor, axes: int = 2) -> Tensor:
    """``∇ᵀp``, the negative divergence: fields ``(..., 2C, H, W)`` to images ``(..., C, H, W)``; see ``gradient``."""
    parts = zip(p.chunk(axes, -1 - axes), range(-axes, 0), strict=True)
    return reduce(torch.add, (_forward_adjoint(part, axis) for part, axis in parts))


def gradient_norm_squared(size: tuple[int, ...]) -> float:
    """``‖∇‖²`` of images or volumes, less than 8 or 12: the largest eigenvalue of the Neumann Laplacian.

    It is a sum of those of paths, one an axis.

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
    """With a zero after the end of a dimension, counted from the last, −1."""
    return torch.nn.functional.pad(x, (*(0, 0) * (-1 - dim), 0, 1))


def _before(x: Tensor, dim: int) -> Tensor:
    return torch.nn.functional.pad(x, (*(0, 0) * (-1 - dim), 1, 0))
