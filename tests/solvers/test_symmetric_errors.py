"""The estimated errors of ``QuasiNewton`` and ``CG`` are near the true ones, on gradient steps with known solutions."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from solvers import CG, Map, QuasiNewton, estimated
from solvers._adjoint.adjoint_map import TapedAdjoint
from tests.helpers.tensors import F64

SIZE = 200


def quadratic(seed: int, condition: float) -> tuple[Tensor, Tensor]:
    """Curvatures from ``1/condition`` to 1, and right-hand sides of two samples."""
    rng = torch.Generator().manual_seed(seed)
    rates = condition ** -torch.rand(SIZE, generator=rng, dtype=F64)
    return rates, torch.randn(2, SIZE, generator=rng, dtype=F64)


def gradient_step(rates: Tensor, b: Tensor, length: float = 1.0) -> Map:
    return lambda x: x - length * (rates * x - b)


def relative(x: Tensor, exact: Tensor) -> float:
    return float(((x - exact).norm(dim=1) / exact.norm(dim=1)).max())


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    condition=st.sampled_from((10.0, 1e2, 1e3)),
    tol=st.sampled_from((1e-2, 1e-4)),
    length=st.sampled_from((1.0, 0.01)),
)
def test_quasi_newton_reaches_the_error_asked_for(
    seed: int, condition: float, tol: float, length: float
) -> None:
    rates, b = quadratic(seed, condition)
    found = QuasiNewton(tol, 3000, error=True)(gradient_step(rates, b, length), torch.zeros_like(b))
    assert found.report.converged
    assert relative(found.x, b / rates) <= 4 * tol


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    condition=st.sampled_from((10.0, 1e2, 1e3)),
    tol=st.sampled_from((1e-1, 1e-2, 1e-4)),
)
def test_cg_reaches_the_error_asked_for(seed: int, condition: float, tol: float) -> None:
    rates, v = quadratic(seed, condition)
    x = torch.zeros_like(v, requires_grad=True)
    adjoint = TapedAdjoint(x, gradient_step(rates, v, 0.01)(x), v, None)
    found = CG(tol, 1000, error=True)(adjoint, v)
    error = relative(found.x, 100 * v / rates)
    assert found.report.converged
    assert tol / 50 <= error <= 2 * tol


def test_a_resumed_solve_keeps_its_memory() -> None:
    """Of 20 curvatures, a memory of 60 pairs knows all: what follows is the wait for two windows of the estimate."""
    rates = torch.logspace(-3, 0, 20, dtype=F64).repeat(5)
    b = torch.randn(2, 100, generator=torch.Generator().manual_seed(0), dtype=F64)
    T = gradient_step(rates, b)
    first = QuasiNewton(1e-3, 3000, 60, error=True)(T, torch.zeros_like(b))
    assert first.ahead is not None
    assert first.resume is not None
    y = T(first.ahead)
    resumed = first.resume(y, 1e-8, 3000)
    cold = QuasiNewton(1e-8, 3000, 60, error=True)(T, y)
    assert relative(resumed.x, b / rates) <= 4e-8
    assert resumed.report.applications < 0.6 * cold.report.applications


def test_the_next_point_of_a_sample_that_ended_first_stays() -> None:
    rates, b = quadratic(0, 1e3)
    b[1, rates < 0.1] = 0
    T = gradient_step(rates, b)
    first = QuasiNewton(1e-3, 3000, error=True)(T, torch.zeros_like(b))
    alone = QuasiNewton(1e-3, 3000, error=True)(gradient_step(rates, b[1:]), torch.zeros_like(b[1:]))
    assert first.ahead is not None
    assert alone.ahead is not None
    torch.testing.assert_close(first.ahead[1:], alone.ahead)


def test_the_variant_is_named_by_its_label() -> None:
    assert estimated(1e-2, symmetric=True).label == "estimated(0.01, symmetric=True)"
    assert estimated(1e-2, 99, symmetric=True).label == "estimated(0.01, 99, symmetric=True)"
    assert estimated(1e-2, symmetric=True) != estimated(1e-2)
