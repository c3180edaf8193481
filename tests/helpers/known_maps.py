"""What the tests of the solvers share."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from solvers import DerivativeBounds, LipschitzConstants, SmoothLoss
from solvers.conformance import quadratic
from tests.helpers.tensors import F64

TANH2 = 4 / (3 * 3**0.5)


def matrix(n: int, size: float, seed: int, symmetric: bool = False) -> torch.Tensor:
    """A random matrix of 2-norm ``size``."""
    M = torch.randn(n, n, generator=torch.Generator().manual_seed(seed), dtype=F64)
    M = M + M.T if symmetric else M
    return size * M / torch.linalg.matrix_norm(M, 2)


class Known(nn.Module):
    """``x -> tanh(Wx + Vθ)`` with constants known by proof; ``theta`` is read off a tensor that is counted."""

    def __init__(self, seed: int = 0, n: int = 5, L: float = 0.9) -> None:
        super().__init__()
        rng = torch.Generator().manual_seed(seed + 100)
        self.W, self.V = matrix(n, L, seed), torch.randn(n, 3, generator=rng, dtype=F64)
        self.theta = nn.Parameter(torch.randn(3, generator=rng, dtype=F64))
        self.L = L

    def forward(self, x: Tensor) -> Tensor:
        """One application to rows."""
        return torch.tanh(x @ self.W.T + self.V @ self.theta)

    def regularity(self) -> DerivativeBounds | None:
        """M_J and M_B of THEORY C6; of a batch, B is the stack of those of its rows."""
        size = float(torch.linalg.matrix_norm(self.V, 2))

        def norm_of_B(x: Tensor) -> float:
            slopes = 1 - torch.tanh(x @ self.W.T + self.V @ self.theta.detach()).square()
            return float(torch.linalg.matrix_norm((slopes[..., None] * self.V).reshape(-1, 3), 2))

        return LipschitzConstants(
            self.L, TANH2 * self.L**2, TANH2 * self.L * size, norm_of_B, parameters=list(self.parameters())
        )


SMOOTH = SmoothLoss(quadratic, 1.0)


def gradient(T: nn.Module, solver, x0: Tensor, loss=SMOOTH, told=SMOOTH):
    """Of the loss, flattened; and the solution."""
    T.zero_grad()
    solution = solver(T, x0, told)
    loss(solution.x).backward()
    return torch.cat([p.grad.flatten() for p in T.parameters()]), solution
