"""A bilevel objective whose minimum and gradients are known in closed form."""

from __future__ import annotations

import pytest
import torch

from solvers import LipschitzConstants, SmoothLoss
from solvers.optimisers import BilevelObjective


class ScaledMap:
    """``T(x) = ½ A x + exp(θ)`` for an orthogonal A, so ``x* = (I − ½A)⁻¹ exp(θ)``; affine in x, with L = ½."""

    def __init__(self, A: torch.Tensor, theta: torch.Tensor) -> None:
        self.A, self.theta = A, theta

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return 0.5 * x @ self.A.T + self.theta.exp()

    def regularity(self) -> LipschitzConstants:
        size = float(self.theta.detach().exp().max())
        return LipschitzConstants(
            0.5, 0.0, 0.0, lambda x: len(x) ** 0.5 * size, parameters=[self.theta], rounding=lambda _: 1e-14
        )


@pytest.fixture
def objective() -> BilevelObjective:
    """Three samples of five entries, five parameters from 0; its exact solution has zero loss."""
    generator = torch.Generator().manual_seed(0)
    A, _ = torch.linalg.qr(torch.randn(5, 5, generator=generator, dtype=torch.float64))
    theta = torch.zeros(5, dtype=torch.float64, requires_grad=True)
    target = torch.randn(5, generator=generator, dtype=torch.float64)
    truth = torch.linalg.solve(torch.eye(5, dtype=torch.float64) - 0.5 * A, target.exp()).expand(3, 5)
    loss = SmoothLoss(lambda x: 0.5 * (x - truth).square().mean(), 1 / truth.numel())
    return BilevelObjective(
        lambda: ScaledMap(A, theta), loss, torch.zeros(3, 5, dtype=torch.float64), [theta]
    )
