"""A tolerance on the estimated error means the same on every map; one on the residual does not."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from solvers import Map, Solver, estimated
from solvers.deq import deq
from solvers.implicit import implicit
from solvers.registry import SOLVER_PARTS

F64 = torch.float64
SIZE = 60


def affine(seed: int, slowest: float, symmetric: bool = True) -> tuple[Tensor, Tensor]:
    """A contraction ``M`` with eigenvalues up to ``slowest``, and an offset for two samples."""
    rng = torch.Generator().manual_seed(seed)
    Q, _ = torch.linalg.qr(torch.randn(SIZE, SIZE, generator=rng, dtype=F64))
    P = Q if symmetric else torch.linalg.qr(torch.randn(SIZE, SIZE, generator=rng, dtype=F64))[0]
    values = slowest * torch.rand(SIZE, generator=rng, dtype=F64).sqrt()
    values[0] = slowest
    return (P * values) @ Q.T, torch.randn(2, SIZE, generator=rng, dtype=F64)


def relaxed(M: Tensor, b: Tensor, theta: Tensor, relaxation: float) -> Map:
    """``(1 − a)x + a(Mx + θb)``, whose fixed point does not depend on a."""
    return lambda x: (1 - relaxation) * x + relaxation * (x @ M.T + theta * b)


def gradient_error(solver: Solver, M: Tensor, b: Tensor, relaxation: float) -> float:
    """The relative error of the gradient in θ ``(60,)`` of ``½‖x − truth‖²``, against a dense solve."""
    theta = torch.ones(SIZE, dtype=F64, requires_grad=True)
    truth = torch.linspace(0, 1, SIZE, dtype=F64) * b.norm()

    def loss(x: Tensor) -> Tensor:
        return 0.5 * (x - truth).square().sum()

    inverse = torch.linalg.inv(torch.eye(SIZE, dtype=F64) - M)
    exact = (((b @ inverse.T - truth) @ inverse) * b).sum(0)
    x = solver(relaxed(M, b, theta, relaxation), torch.zeros_like(b), loss).x
    (g,) = torch.autograd.grad(loss(x), theta)
    return float((g - exact).norm() / exact.norm())


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    slowest=st.sampled_from((0.5, 0.9, 0.99)),
    relaxation=st.sampled_from((1.0, 0.3, 0.03)),
    rtol=st.sampled_from((1e-1, 1e-2, 1e-4)),
    symmetric=st.booleans(),
)
def test_error_is_what_was_asked_on_every_relaxation(
    seed: int, slowest: float, relaxation: float, rtol: float, symmetric: bool
) -> None:
    M, b = affine(seed, slowest, symmetric)
    assert gradient_error(estimated(rtol), M, b, relaxation) <= 2 * rtol


def test_residual_means_another_error_on_another_relaxation() -> None:
    M, b = affine(0, 0.9)
    plain, slow = (gradient_error(deq(1e-3), M, b, a) for a in (1.0, 0.03))
    assert slow > 10 * plain
    plain, slow = (gradient_error(estimated(1e-3), M, b, a) for a in (1.0, 0.03))
    assert slow < 1e-3 > plain


def test_adjoint_error_is_estimated_and_not_undercut() -> None:
    M, b = affine(1, 0.99)
    gmres = SOLVER_PARTS["gmres"]
    anderson = SOLVER_PARTS["anderson"]
    for tol in (1e-1, 1e-2, 1e-3):
        solver = implicit(anderson(1e-12), gmres(tol, error=True))  # pyright: ignore[reportArgumentType]
        error = gradient_error(solver, M, b, 1.0)
        assert tol / 100 <= error <= 2 * tol
        loose = implicit(anderson(1e-12), gmres(tol))  # pyright: ignore[reportArgumentType]
        assert gradient_error(loose, M, b, 0.03) > error


def test_without_a_loss_the_distance_is_relative_to_the_equilibrium() -> None:
    M, b = affine(2, 0.9)
    theta = torch.ones(SIZE, dtype=F64)
    exact = b @ torch.linalg.inv(torch.eye(SIZE, dtype=F64) - M).T
    solve = SOLVER_PARTS["anderson"](1e-3, error=True)
    for a in (1.0, 0.1):
        x = solve(relaxed(M, b, theta, a), torch.zeros_like(b)).x  # pyright: ignore[reportCallIssue]
        assert float((x - exact).norm() / exact.norm()) < 2e-3


def test_labels_name_the_rule() -> None:
    anderson, gmres = SOLVER_PARTS["anderson"], SOLVER_PARTS["gmres"]
    solver = implicit(anderson(1e-3, error=True), gmres(1e-2, error=True))  # pyright: ignore[reportArgumentType]
    assert solver.label == "implicit(anderson(0.001, error=True), gmres(0.01, error=True))"
    assert estimated(1e-2).label == "estimated(0.01)"


@pytest.mark.parametrize("wrong", [0.0, -1.0, float("nan")])
def test_bad_tolerance_is_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match="positive"):
        estimated(wrong)
