"""Numbers at the ends of their range, and none at all: what a solve makes of them."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from solvers import (
    Anderson,
    FixedSteps,
    ImplicitDifferentiation,
    Nesterov,
    Picard,
    QuasiNewton,
    SharedInverse,
    Solver,
    deq,
    implicit,
)

# Not public: the norms and sums that every solver computes with.
from solvers._certificates.jacobian_norm import largest_singular_value
from solvers._core.batch import from_rows, inner, inners, norm, norms, power_of_two, rows
from solvers.conformance import gradient_of, relative_error, start
from tests.helpers.adjoints import SOLVES, Each, Linear, residuals
from tests.helpers.known_maps import matrix
from tests.helpers.tensors import F64

F32 = torch.float32
ADJOINTS = [*SOLVES, "shared"]


class Symmetric(torch.nn.Module):
    """``x -> s·M tanh(Mx + c)``, whose J is symmetric, so that every solve is for it."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.M = matrix(6, 0.9, 1, symmetric=True).to(dtype)
        self.c = torch.nn.Parameter(start(6).to(dtype))
        self.s = torch.nn.Parameter(torch.tensor(0.9, dtype=dtype))

    def forward(self, x):
        return self.s * (torch.tanh(x @ self.M + self.c) @ self.M)


def solver(name: str, tol: float = 1e-5) -> Solver:
    if name == "shared":
        return implicit(Anderson(tol, shared=True), SharedInverse(4))
    return Solver(name, Anderson(tol), ImplicitDifferentiation(SOLVES[name](tol)))


# Norms


@given(
    entries=st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=9),
    scale=st.integers(-100, 100),
    dtype=st.sampled_from([F32, F64]),
)
def test_norms_are_those_of_float64_whatever_the_scale(entries, scale, dtype):
    exact = torch.tensor([entries], dtype=F64)
    exact = torch.where(exact.abs() < 1e-6, 0, exact)
    scaled = exact.to(dtype) * 2.0**scale
    assert torch.equal(norms(scaled), norms(exact) * 2.0**scale)
    assert float(norms(exact)) == pytest.approx(math.hypot(*exact[0].tolist()), rel=1e-14)
    assert norm(scaled) == float(norms(scaled))
    assert inner(scaled, exact) == inner(exact, exact) * 2.0**scale


@pytest.mark.parametrize("exponent", [-1000, -500, 500, 1000])
def test_norms_of_float64_neither_under_nor_overflow(exponent):
    x, far = start(2, 9), 2.0**exponent * start(2, 9)
    assert torch.equal(norms(far), 2.0**exponent * norms(x))
    assert inner(far, 2.0**-exponent * x) == inner(x, x)
    assert norm(far[0]) == 2.0**exponent * norm(x[0])


def test_sums_in_parts_are_the_sums():
    x, y = torch.randn(2, 200_000), torch.randn(2, 200_000)
    torch.testing.assert_close(norms(x)[0], x.double().norm(dim=1), rtol=1e-13, atol=0)
    torch.testing.assert_close(inners(x, y), (x.double() * y.double()).sum(1), rtol=1e-10, atol=1e-10)


def test_norms_of_what_is_no_number():
    found = norms(torch.tensor([[math.nan, 1], [math.inf, 1], [0, 0]]))[0]
    assert [str(value) for value in found.tolist()] == ["nan", "inf", "0.0"]
    assert torch.equal(
        power_of_two(torch.tensor([[0.0], [math.inf], [3.0]])), torch.tensor([1.0, 1.0, 4.0], dtype=F64)
    )


@pytest.mark.parametrize("shape", [(), (5,), (2, 3), (2, 3, 4), (0, 3), (3, 0), (0,)])
@pytest.mark.parametrize("dtype", [F32, F64, torch.cfloat, torch.cdouble])
def test_rows_come_back_as_they_were(shape, dtype):
    x = torch.randn(shape, dtype=dtype)
    for each in (x, x.conj()):
        assert not rows(each).is_complex()
        assert torch.equal(from_rows(rows(each), each), each)
        assert norm(each) == pytest.approx(float(each.abs().double().square().sum().sqrt()), rel=1e-6)


# Scale


@pytest.mark.misuse(
    "a loss in float32 scaled by 2**-100 or 2**80",
    "right: the gradient scales with it, to the bit",
)
@pytest.mark.parametrize("name", ADJOINTS)
@pytest.mark.parametrize("exponent", [-100, -70, 40, 100])
def test_scaling_a_loss_in_float32_scales_the_gradient_to_the_bit(name, exponent):
    T, x0 = Symmetric(F32), start(2, 6, dtype=F32)
    plain, _ = gradient_of(solver(name), T, x0, lambda x: x.square().sum())
    scaled, solution = gradient_of(solver(name), T, x0, lambda x: 2.0**exponent * x.square().sum())
    assert solution.converged
    assert torch.equal(scaled.double(), 2.0**exponent * plain.double())


@pytest.mark.parametrize("name", ADJOINTS)
@pytest.mark.parametrize("exponent", [-900, 900])
def test_scaling_a_loss_in_float64_scales_the_gradient_to_the_bit(name, exponent):
    T, x0 = Symmetric(F64), start(2, 6)
    plain, _ = gradient_of(solver(name), T, x0, lambda x: x.square().sum())
    scaled, solution = gradient_of(solver(name), T, x0, lambda x: 2.0**exponent * x.square().sum())
    assert solution.converged
    assert torch.equal(scaled, 2.0**exponent * plain)


@pytest.mark.parametrize(
    "reach", [Picard(1e-5), Nesterov(1e-5), Anderson(1e-5), QuasiNewton(1e-5), Anderson(1e-5, shared=True)]
)
@pytest.mark.parametrize("exponent", [-90, 90])
def test_an_equilibrium_in_other_units_is_the_same(reach, exponent):
    M = matrix(12, 0.9, 1).float()
    plain = reach(lambda x: x @ M + 1, torch.zeros(2, 12))
    scaled = reach(lambda x: x @ M + 2.0**exponent, torch.zeros(2, 12))
    assert scaled.report == plain.report
    assert torch.equal(scaled.x, 2.0**exponent * plain.x)
    if plain.inverse is not None and scaled.inverse is not None:
        v = start(2, 12, dtype=F32)
        assert torch.equal(scaled.inverse(v), plain.inverse(v))
        torch.testing.assert_close(
            scaled.inverse(2.0**-100 * v), 2.0**-100 * plain.inverse(v), rtol=0, atol=0
        )


@pytest.mark.parametrize("name", SOLVES)
def test_samples_of_very_different_size_are_each_solved(name):
    v = start(3, 6, dtype=F32) * torch.tensor([[2.0**-90], [1.0], [2.0**90]])
    T = Linear(matrix(6, 0.9, 2, symmetric=True).float(), v)
    at = SOLVES[name](1e-4)(T, T.v)
    assert at.report.converged
    assert float(residuals(T, at.x).max()) <= 1e-4


@pytest.mark.parametrize("exponent", [-60, 0, 60])
def test_a_lipschitz_constant_is_found_whatever_its_size(exponent):
    M = 2.0**exponent * matrix(6, 0.9, 2).float()
    value, _ = largest_singular_value(lambda x: x @ M, torch.zeros(2, 6))
    assert value == pytest.approx(0.9 * 2.0**exponent, rel=1e-4)


# Not a number


@pytest.mark.misuse(
    "nan or inf in the cotangent of one sample", "right: its adjoint is nan, those of the others as ever"
)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", SOLVES)
@pytest.mark.parametrize("dtype", [F32, F64])
def test_a_cotangent_that_is_no_number_spoils_its_own_sample_alone(name, value, dtype):
    M, v = matrix(8, 0.8, 1, symmetric=True).to(dtype), start(3, 8).to(dtype)
    v[1, 2] = value
    at = SOLVES[name](1e-5)(T := Linear(M, v), T.v)
    assert bool(at.x[1].isnan().all())
    assert at.report.converged is False
    assert not math.isfinite(at.report.residual)
    others = SOLVES[name](1e-5)(T := Linear(M, v[[0, 2]]), T.v)
    torch.testing.assert_close(at.x[[0, 2]], others.x, rtol=1e-4, atol=1e-4)
    assert T.products <= 200


@pytest.mark.misuse(
    "a derivative that is not finite in one sample", "right: the adjoint of that sample is nan"
)
@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("name", SOLVES)
def test_a_derivative_that_is_no_number_spoils_its_own_sample_alone(name, value):
    J = matrix(8, 0.8, 1, symmetric=True).repeat(3, 1, 1)
    J[1, 4, 5] = value
    at = SOLVES[name](1e-8)(T := Each(J, start(3, 8)), T.v)
    assert bool(at.x[1].isnan().all())
    assert at.report.converged is False
    assert not math.isfinite(at.report.residual)
    assert float(residuals(Each(J[[0, 2]], T.v[[0, 2]]), at.x[[0, 2]]).max()) <= 1e-8


@pytest.mark.misuse(
    "a map that gives nan for one sample", "right: nan for that sample, and the others as ever"
)
@pytest.mark.parametrize("name", ADJOINTS)
def test_a_map_that_gives_nan_for_one_sample_leaves_the_others_their_gradient(name):
    shift = torch.zeros(3, 6, dtype=F64)
    W, c = matrix(6, 0.8, 1, symmetric=True), torch.ones(3, 6, dtype=F64)
    c[1, 0] = math.nan

    def slopes(chosen):
        leaf = shift[chosen].clone().requires_grad_()
        solution = solver(name, 1e-8)(
            lambda x: x @ W + (c[chosen] + leaf), torch.zeros(len(chosen), 6, dtype=F64)
        )
        solution.x.square().sum().backward()
        return leaf.grad, solution

    together, solution = slopes([0, 1, 2])
    alone, _ = slopes([0, 2])
    assert not bool(together[1].isfinite().any())
    assert not solution.converged
    torch.testing.assert_close(together[[0, 2]], alone, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    "reach", [Nesterov(1e-9), Anderson(1e-9), QuasiNewton(1e-9), Anderson(1e-9, every=1, memory=2)]
)
@pytest.mark.parametrize("broken", [2, 6, 9])
def test_an_acceleration_survives_a_nan_of_one_application(reach, broken):
    calls, W = 0, torch.diag(torch.linspace(0, 0.97, 16, dtype=F64))

    def T(x):
        nonlocal calls
        calls += 1
        y = x @ W + 1
        if calls == broken:
            y[1] = math.nan
        return y

    found = reach(T, start(2, 16))
    assert found.report.converged
    assert found.report.applications <= reach(lambda x: x @ W + 1, start(2, 16)).report.applications + 60


# Half precision, and autocast


@pytest.mark.misuse(
    "states in half precision",
    "right: within its rounding, and `converged` says whether the tolerance was met",
)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", ADJOINTS)
def test_half_precision_is_solved_as_well_as_it_can_be(name, dtype):
    T, exact = Symmetric(dtype), Symmetric(F64)
    for tol, met in ((3e-2, True), (1e-7, False)):
        found, solution = gradient_of(
            solver(name, tol), T, start(2, 6, dtype=dtype), lambda x: x.square().mean()
        )
        assert solution.x.dtype == dtype
        if met:
            assert solution.converged
    expected, _ = gradient_of(deq(1e-10), exact, start(2, 6), lambda x: x.square().mean())
    assert relative_error(found.double(), expected) < 0.1


@pytest.mark.misuse(
    "a solve and its backward under autocast", "right: the solver's own algebra is in the dtype of the state"
)
@pytest.mark.parametrize("name", ADJOINTS)
@pytest.mark.parametrize("backward_too", [False, True])
def test_the_algebra_is_outside_of_autocast(name, backward_too):
    """T has no operation that autocast touches, so that all that could lose precision is the solver's own."""

    def slope(autocast):
        s, c = (t.requires_grad_() for t in (torch.tensor(0.9), start(6, dtype=F32)))

        def exact(x):
            return s * (0.5 * x + 0.2 * (x.roll(1, -1) + x.roll(-1, -1))) + c

        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
            x = solver(name, 1e-5)(exact, start(2, 6, dtype=F32)).x
            loss = x.square().sum()
            if backward_too:
                loss.backward()
        if not backward_too:
            loss.backward()
        return torch.cat([s.grad[None], c.grad])

    assert torch.equal(slope(True), slope(False))


@pytest.mark.parametrize("name", ADJOINTS)
def test_a_map_under_autocast_is_solved_within_its_precision(name):
    layer = torch.nn.Linear(64, 64)
    torch.nn.init.orthogonal_(layer.weight, 0.8)

    def slope(autocast):
        layer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
            x = solver(name, 1e-2)(lambda x: torch.tanh(layer(x)), torch.zeros(2, 64)).x
            loss = x.float().square().sum()
        loss.backward()
        return layer.weight.grad

    assert relative_error(slope(True), slope(False)) < 0.1


def test_nothing_is_measured_of_a_fixed_number_of_steps():
    report = FixedSteps(3)(lambda x: x * math.nan, start(2, 6)).report
    assert math.isnan(report.residual)
    assert report.converged is None
