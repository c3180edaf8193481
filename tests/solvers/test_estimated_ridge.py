"""``estimated`` on gradient descent with a learned ridge regulariser, whose kinks the distance alone does not see."""

from __future__ import annotations

import functools

import torch
from torch import Tensor
from torch.nn import functional

from solvers import Map, Solver, estimated
from solvers._adjoint.gmres import GMRES
from solvers._forward.anderson import Anderson
from solvers.implicit import implicit

F64 = torch.float64
RTOL, SIZE, FILTERS, STEEP, WEIGHT = 1e-2, 32, 6, 3000.0, 0.1


class Ridge:
    """``½‖x − y‖² + Σ_c e^{θ_c} φ(W_c x)`` with 5×5 filters W of norm 1 together and ``φ' = clamp(STEEP·, −1, 1)``.

    T is the gradient step of length 2/(L + 1), with the global constant L, as for published learned regularisers.
    """

    def __init__(self, seed: int) -> None:
        rng = torch.Generator().manual_seed(seed)
        W = torch.randn(FILTERS, 1, 5, 5, generator=rng, dtype=F64)
        W = W - W.mean((2, 3), keepdim=True)
        spectrum = torch.fft.fft2(W, s=(SIZE, SIZE)).abs().square().sum(0).max()
        self.W = W / spectrum.sqrt()
        ramp = torch.linspace(0, 1, SIZE, dtype=F64)
        self.truth = ((ramp[:, None] > 0.4).double() + ramp)[None, None].repeat(2, 1, 1, 1) / 2
        self.y = self.truth + 0.1 * torch.randn(self.truth.shape, generator=rng, dtype=F64)
        self.theta = torch.full((FILTERS,), WEIGHT, dtype=F64).log().requires_grad_()

    def map(self) -> Map:
        step = 2 / (2 + WEIGHT * STEEP)

        def T(x: Tensor) -> Tensor:
            z = functional.conv2d(functional.pad(x, (4, 4, 4, 4)), self.W)
            z = self.theta.exp()[:, None, None] * (STEEP * z).clamp(-1, 1)
            return x - step * (x - self.y + functional.conv_transpose2d(z, self.W)[..., 4:-4, 4:-4])

        return T

    def loss(self, x: Tensor) -> Tensor:
        return 0.5 * (x - self.truth).square().sum()


def gradient(solver: Solver, seed: int) -> Tensor:
    ridge = Ridge(seed)
    x = solver(ridge.map(), ridge.y, ridge.loss).x
    return torch.autograd.grad(ridge.loss(x), ridge.theta)[0]


def work(solver: Solver, seed: int) -> float:
    ridge = Ridge(seed)
    solution = solver(ridge.map(), ridge.y, ridge.loss)
    torch.autograd.grad(ridge.loss(solution.x), ridge.theta)
    return solution.work


@functools.cache
def error(solver: Solver, seed: int) -> float:
    exact = gradient(implicit(Anderson(1e-12, 5000), GMRES(1e-11, 2000, 100)), seed)
    return float((gradient(solver, seed) - exact).norm() / exact.norm())


DISTANCE_ALONE = implicit(Anderson(RTOL / 4, 2000, error=True), GMRES(RTOL / 2, 2000, error=True))
SEEDS = range(4)


def test_tolerance_holds_where_the_distance_alone_misses_it() -> None:
    assert max(error(estimated(RTOL, 2000), seed) for seed in SEEDS) <= RTOL


def test_tolerance_holds_for_solvers_of_a_symmetric_J_with_fewer_products() -> None:
    symmetric = estimated(RTOL, 2000, symmetric=True)
    assert max(error(symmetric, seed) for seed in SEEDS) <= RTOL
    for seed in SEEDS:
        assert work(symmetric, seed) < work(estimated(RTOL, 2000), seed)


def test_the_distance_alone_misses_it() -> None:
    assert max(error(DISTANCE_ALONE, seed) for seed in SEEDS) > 2 * RTOL
