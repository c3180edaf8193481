"""The layers of docs/certificates.md, as maps to attack certificates on."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from bench.penalties.groups import portion
from solvers import LipschitzConstants

from .problem import F64, AttackProblem

LAYERS = ("layer", "affine", "quotient")
"""``0.9 tanh(Wx + c + y)`` with c and y that cancel; ``0.9x + c + y``; and ``0.9x + c/(c + 1) + y``, whose derivative
cancels if c is large."""


class Layer:
    """A layer with one parameter c.

    ``exact`` avoids cancellation: it adds c and y first, and takes the quotient in one operation.
    """

    def __init__(self, problem: AttackProblem, dtype: torch.dtype) -> None:
        random = torch.Generator().manual_seed(problem.seed)
        n = problem.size
        W = torch.randn(n, n, generator=random, dtype=F64)
        self.W = (0.999 * W / torch.linalg.matrix_norm(W, 2)).to(dtype)
        self.kind, self.exact = problem.map, False
        divides = self.kind == "quotient"
        self.c = torch.full((n,), 1 + problem.big if divides else -problem.big, dtype=dtype).requires_grad_()
        y = 0.3 * torch.randn(problem.batch, n, generator=random, dtype=F64)
        self.y = (y if divides else y + problem.big).to(dtype)

    def __call__(self, x: Tensor) -> Tensor:
        """The layer at states ``(B, n)``."""
        if self.kind == "quotient":
            share = portion(self.c, torch.ones_like(self.c)) if self.exact else self.c / (self.c + 1)
            return 0.9 * x + share + self.y
        z = x @ self.W.T if self.kind == "layer" else 0.9 * x
        z = z + (self.c + self.y) if self.exact else z + self.c + self.y  # c and y cancel to the bit
        return 0.9 * torch.tanh(z) if self.kind == "layer" else z

    def regularity(self) -> LipschitzConstants:
        """The exact constants of the layer."""
        if self.kind != "layer":
            slope = 1.0 if self.kind == "affine" else float((self.c.detach() + 1).pow(-2).max())
            return LipschitzConstants(0.9, 0.0, 0.0, lambda x: slope * math.sqrt(len(x)), parameters=[self.c])
        return LipschitzConstants(0.9, 0.7, 0.7, lambda x: 0.9 * math.sqrt(len(x)), parameters=[self.c])

    def copy_numbers(self, source: Layer) -> None:
        """Take over the numbers of a layer in another dtype, and avoid cancellation."""
        self.exact = True
        with torch.no_grad():
            for mine, its in zip((self.W, self.c, self.y), (source.W, source.c, source.y), strict=True):
                mine.copy_(its)
