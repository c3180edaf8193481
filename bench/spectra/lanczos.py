"""An estimate of the largest eigenvalue of a symmetric matrix: nothing about it is proven but that it is too small."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

STEPS = 20


@dataclass(frozen=True, slots=True)
class Ritz:
    """The largest Ritz value of ``B``, a lower bound on its largest eigenvalue.

    Attributes:
        value: θ.
        residual: ``‖Bv − θv‖`` of its unit vector v: within it of θ lies an eigenvalue, though perhaps not the largest.
        applications: of B.
    """

    value: float
    residual: float
    applications: int


@torch.no_grad()
def largest_ritz(B: Callable[[Tensor], Tensor], shape: tuple[int, ...], steps: int = STEPS) -> Ritz:
    """Lanczos' iteration with full orthogonalisation, from a random vector of float64.

    Args:
        B: symmetric and positive semidefinite, on float64 tensors of ``shape``.
        shape: of a vector.
        steps: at most so many applications.
    """
    rng = torch.Generator().manual_seed(0)
    v = torch.randn(shape, generator=rng, dtype=torch.float64)
    basis, diagonal, beside = [v / torch.linalg.vector_norm(v)], list[float](), list[float]()
    for _ in range(steps):
        w = B(basis[-1]).double()
        diagonal.append(float((w * basis[-1]).sum()))
        for _ in range(2):
            for q in basis:
                w = w - (w * q).sum() * q
        beside.append(float(torch.linalg.vector_norm(w)))
        if beside[-1] <= 1e-12 * max(abs(diagonal[0]), 1e-300):
            break
        basis.append(w / beside[-1])
    T = torch.diag(torch.tensor(diagonal, dtype=torch.float64))
    off = torch.tensor(beside[: len(diagonal) - 1], dtype=torch.float64)
    values, vectors = torch.linalg.eigh(T + torch.diag(off, 1) + torch.diag(off, -1))
    residual = beside[len(diagonal) - 1] * abs(float(vectors[-1, -1]))
    return Ritz(max(float(values[-1]), 0.0), residual, len(diagonal))
