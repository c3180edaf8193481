"""Adjoint equations written down as matrices, and what is true of a solution."""

from __future__ import annotations

import torch

from solvers import CG, GMRES, Anderson, Nesterov, Picard, QuasiNewton

SOLVES = {
    "gmres": GMRES,
    "cg": CG,
    "anderson": Anderson,
    "nesterov": Nesterov,
    "picard": Picard,
    "quasi_newton": QuasiNewton,
}
"""Every solve that stops on a residual, by its name in labels."""


class Linear:
    """``u -> v + Mu``, a row a sample, and its product with M alone; counts the products."""

    inverse = None

    def __init__(self, M: torch.Tensor, v: torch.Tensor) -> None:
        self.M, self.v, self.products = M, v, 0

    def linear(self, u):
        self.products += 1
        return u @ self.M.T

    def __call__(self, u):
        return self.v + self.linear(u)


class Each:
    """``u -> v + M_i u``, a matrix a sample; counts the products."""

    inverse = None

    def __init__(self, M: torch.Tensor, v: torch.Tensor) -> None:
        self.M, self.v, self.products = M, v, 0

    def linear(self, u):
        self.products += 1
        return torch.einsum("bij,bj->bi", self.M, u)

    def __call__(self, u):
        return self.v + self.linear(u)


def residuals(T, u: torch.Tensor) -> torch.Tensor:
    """``‖T(u) − u‖ / ‖T(u)‖`` of each sample, measured in float64 by one product; 0 where both vanish."""
    y = T(u)
    size, scale = (torch.linalg.vector_norm(a.double(), dim=1) for a in (y - u, y))
    return torch.where(size == 0, size, size / scale)
