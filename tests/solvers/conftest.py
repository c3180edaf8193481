"""What the tests of the solvers share."""

from __future__ import annotations

import torch

F64 = torch.float64


def matrix(n: int, size: float, seed: int, symmetric: bool = False) -> torch.Tensor:
    """A random matrix of 2-norm ``size``."""
    M = torch.randn(n, n, generator=torch.Generator().manual_seed(seed), dtype=F64)
    M = M + M.T if symmetric else M
    return size * M / torch.linalg.matrix_norm(M, 2)
