"""Certificates and audits: what a trace says of its own gradient, and of any other."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from solvers import (
    Certificate,
    DerivativeBounds,
    LipschitzConstants,
    TapedApplication,
    TapeRecorder,
    WrappedBounds,
    audit,
    certificate,
    certified,
    checkpointed,
    deq,
    jfb,
    neumann,
    phantom,
    restarted_jfb,
)
from solvers.conformance import dense_oracle, leaves_no_tape, quadratic, start
from tests.helpers.known_maps import SMOOTH, Known, gradient
from tests.helpers.tensors import F64


def watched(T: nn.Module, solver, x0: Tensor):
    """The certificate of a solver's own trace, its gradient, and the exact one."""
    watch, cotangent = TapeRecorder(T), []
    T.zero_grad()
    solution = solver(watch, x0)
    solution.x.register_hook(cotangent.append)
    quadratic(solution.x).backward()
    found = torch.cat([p.grad.flatten() for p in T.parameters()])
    regularity = T.regularity()
    made = certificate(
        watch.taped, solution.x.detach(), cotangent[0], regularity, 1.0, size=float(found.norm())
    )
    return made, found, dense_oracle(T, x0)


SOLVERS = [
    restarted_jfb(4, 6),
    restarted_jfb(1, 0),
    jfb(30),
    neumann(20, 8),
    phantom(30, 6, 0.7),
    deq(1e-4),
]


@pytest.mark.parametrize("solver", SOLVERS, ids=lambda s: s.label)
@pytest.mark.parametrize("seed", range(4))
def test_the_trace_of_any_solver_certifies_it(solver, seed: int):
    made, found, exact = watched(Known(seed, L=0.8), solver, start(2, 5))
    error = float(torch.linalg.vector_norm(found - exact))
    assert 0 < error <= made.error
    assert made.rigorous
    assert error <= made.relative * float(torch.linalg.vector_norm(exact))
    cosine = float(torch.nn.functional.cosine_similarity(found, exact, dim=0))
    assert made.cosine <= cosine


def test_the_trace_of_a_loop_of_ones_own_certifies_it():
    T, x = Known(3, L=0.8), start(2, 5)
    watch, cotangent = TapeRecorder(T), []
    for k in range(12):
        x = watch(x) if k % 3 else 0.5 * x + 0.5 * watch(x)
    x.register_hook(cotangent.append)
    quadratic(x).backward()
    made = certificate(watch.taped, x.detach(), cotangent[0], T.regularity(), 1.0)
    error = float(torch.linalg.vector_norm(T.theta.grad - dense_oracle(T, start(2, 5))))
    assert 0 < error <= made.error


@pytest.mark.parametrize("solver", SOLVERS, ids=lambda s: s.label)
def test_watching_changes_nothing(solver):
    T, x0 = Known(1), start(2, 5)
    plain, _ = gradient(T, solver, x0)
    assert torch.equal(watched(T, solver, x0)[1], plain)


def test_the_certificate_is_attained():
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.theta = nn.Parameter(torch.tensor([0.3, -1.0], dtype=F64))

        def forward(self, x: Tensor) -> Tensor:
            return 0.9 * x + self.theta

        def regularity(self) -> DerivativeBounds:
            return LipschitzConstants(0.9, 0.0, 0.0, lambda x: 1.0, parameters=[self.theta])

    T = Scaled()
    # At the equilibrium, where only the truncation of the series is left.
    made, found, exact = watched(T, neumann(700, 5), torch.zeros(1, 2, dtype=F64))
    assert made.error == pytest.approx(float(torch.linalg.vector_norm(found - exact)), rel=1e-9)


class TwoRates(nn.Module):
    """B is large in the coordinate that contracts fast, and small in the one that does not."""

    RATES, SIZES = torch.tensor([0.99, 0.1], dtype=F64), torch.tensor([0.01, 1.0], dtype=F64)

    def __init__(self, gain: float) -> None:
        super().__init__()
        self.theta, self.gain = nn.Parameter(torch.tensor([0.3, -1.0], dtype=F64)), gain

    def forward(self, x: Tensor) -> Tensor:
        return self.RATES * x + self.SIZES * self.theta

    def regularity(self) -> DerivativeBounds:
        constants = LipschitzConstants(0.99, 0.0, 0.0, lambda x: 1.0, parameters=[self.theta])
        return WrappedBounds(
            constants, lambda *at: dataclasses.replace(at[0].change(*at[1:]), gain=self.gain)
        )


def test_a_gain_stands_in_for_the_worst_of_both_directions():
    x0 = torch.zeros(1, 2, dtype=F64)
    gain = float((TwoRates.SIZES / (1 - TwoRates.RATES)).max())
    sharp, found, exact = watched(TwoRates(gain), neumann(400, 5), x0)
    assert 0 < float((found - exact).norm()) <= sharp.error
    assert sharp.rigorous
    assert sharp.amplification == gain == pytest.approx(10 / 9)
    for useless in (math.inf, 200.0):  # the worst of both, 1/(1 − 0.99)
        rough, _, _ = watched(TwoRates(useless), neumann(400, 5), x0)
        assert rough.amplification == pytest.approx(100)
        assert rough.error == pytest.approx(90 * sharp.error)
    step = certified(1e-3)(TwoRates(gain), x0, SMOOTH)
    assert step.converged
    assert step.certificates[0].amplification == gain


@pytest.mark.parametrize("gain", [math.nan, -1.0])
def test_a_gain_that_is_no_bound_is_refused(gain):
    with pytest.raises(ValueError, match="gain in the derivative bounds of T must be a number of at least 0"):
        watched(TwoRates(gain), neumann(5, 5), torch.zeros(1, 2, dtype=F64))


def test_what_has_not_been_differentiated_has_no_certificate():
    T = Known(0)
    watch = TapeRecorder(T)
    with pytest.raises(ValueError, match="nothing was taped"):
        certificate(watch.taped, start(2, 5), start(2, 5), T.regularity(), 1.0)
    jfb(3)(watch, start(2, 5))
    with pytest.raises(ValueError, match="backward"):
        certificate(watch.taped, start(2, 5), start(2, 5), T.regularity(), 1.0)


@pytest.mark.parametrize("solver", SOLVERS, ids=lambda s: s.label)
def test_a_watch_holds_no_tape(solver):
    leaves_no_tape(lambda T, x0: solver(TapeRecorder(T), x0))


@given(st.integers(0, 10_000), st.floats(1e-6, 10), st.sampled_from((0.1, 0.5, 1.0)))
def test_an_audit_is_right_from_both_sides(seed: int, size: float, sharp: float):
    T, x0 = Known(seed), start(2, 5)
    exact = dense_oracle(T, x0)
    noise = torch.randn(3, generator=torch.Generator().manual_seed(seed), dtype=F64)
    found = exact + size * exact.norm() * noise / noise.norm()
    made = audit(T, x0, SMOOTH, [T.theta], [found], sharp)
    error = float(torch.linalg.vector_norm(found - exact))
    assert made.rigorous
    assert made.least <= error <= made.error
    assert error <= made.relative * float(exact.norm())
    if sharp < 1:
        assert made.error <= error * (1 + sharp) / (1 - sharp) * (1 + 1e-9)


def test_an_audit_of_the_exact_gradient_ends():
    T, x0 = Known(2), start(2, 5)
    made = audit(T, x0, SMOOTH, [T.theta], [dense_oracle(T, x0)])
    assert made.relative < 1e-8


def test_an_audit_wants_a_gradient_for_each_parameter():
    T = Known(2)
    with pytest.raises(ValueError, match="1 parameters, but 2 gradients"):
        audit(T, start(2, 5), SMOOTH, [T.theta], [T.theta, T.theta])
    with pytest.raises(ValueError, match="sharp"):
        audit(T, start(2, 5), SMOOTH, [T.theta], [T.theta], sharp=2)


def alone(L: float, theta: float, *, scaled: bool = False, M_J: float = 0.0):
    """A scalar map ``Lx + θ − M_J x|x|/2``, or ``θx + 1`` if scaled, taped at 0.3 off its equilibrium."""
    parameter = torch.tensor([theta], dtype=F64, requires_grad=True)

    def T(x: Tensor) -> Tensor:
        return parameter * x + 1 if scaled else L * x + parameter - M_J / 2 * x * x.abs()

    star = torch.zeros(1, dtype=F64)
    with torch.no_grad():
        for _ in range(2000):
            star = T(star)
    x = (star + 0.3).requires_grad_()
    y = T(x)
    return parameter, T, star, x, y


def error_and_bound(parameter, star, x, y, loss, exact, constants, smoothness, direct):
    """``‖g − F'‖``, and the bound on it, with the adjoint equation solved exactly at x."""
    at = y.detach().requires_grad_()
    v, h = torch.autograd.grad(loss(at), [at, parameter], materialize_grads=True, allow_unused=True)
    (slope,) = torch.autograd.grad(y, x, torch.ones_like(y), retain_graph=True)
    u = v / (1 - slope)
    a, B = torch.autograd.grad(y, [x, parameter], u)
    taped = TapedApplication(x.detach(), y.detach(), u, a)
    made = certificate([taped], y.detach(), v, constants, smoothness, direct)
    return abs(float(h + B - exact)), made.error


def test_the_curvature_of_the_loss_is_charged_in_full():
    parameter, _, star, x, y = alone(0.8, 0.4)
    constants = LipschitzConstants(0.8, 0.0, 0.0, lambda x: 1.0)
    found = error_and_bound(
        parameter, star, x, y, lambda z: 1.5 * z.square().sum(), 3 * float(star) / 0.2, constants, 3.0, 0.0
    )
    assert found[1] == pytest.approx(found[0], rel=1e-6)


def test_a_direct_dependence_is_charged_in_full():
    parameter, _, star, x, y = alone(0.8, 0.4)
    constants = LipschitzConstants(0.8, 0.0, 0.0, lambda x: 1.0)
    exact = float(star) + 0.4 / 0.2
    found = error_and_bound(
        parameter, star, x, y, lambda z: (parameter * z).sum(), exact, constants, 0.0, 1.0
    )
    assert found[1] == pytest.approx(found[0], rel=1e-6)


def test_a_moving_derivative_in_the_parameters_is_charged_in_full():
    parameter, _, star, x, y = alone(0.0, 0.8, scaled=True)
    constants = LipschitzConstants(0.8, 0.0, 1.0, lambda x: float(x.abs()))
    found = error_and_bound(parameter, star, x, y, lambda z: z.sum(), float(star) / 0.2, constants, 0.0, 0.0)
    assert found[1] == pytest.approx(found[0], rel=1e-6)


def test_a_moving_derivative_in_the_state_is_charged_in_full():
    parameter, _, star, x, y = alone(0.5, 0.01, M_J=0.02)
    constants = LipschitzConstants(0.5, 0.02, 0.0, lambda x: 1.0)
    exact = 1 / (0.5 + 0.02 * abs(float(star)))
    found = error_and_bound(parameter, star, x, y, lambda z: z.sum(), exact, constants, 0.0, 0.0)
    assert found[0] <= found[1] <= 1.05 * found[0]


def test_what_lies_between_two_applications_is_charged():
    T, x0 = Known(3, L=0.8), start(2, 5)
    star = deq(1e-12)(T, x0).x.detach()
    watch, cotangent = TapeRecorder(T), []
    # At the equilibrium, thrown off it, and thrown off again after the last application.
    far = watch(watch(star) + 0.5) + 0.5
    far.register_hook(cotangent.append)
    quadratic(far).backward()
    made = certificate(watch.taped, far.detach(), cotangent[0], T.regularity(), 1.0)
    assert T.theta.grad is not None
    error = float(torch.linalg.vector_norm(T.theta.grad - dense_oracle(T, x0)))
    assert error <= made.error
    assert made.distance >= float(torch.linalg.vector_norm(far.detach() - star))
    apart = LipschitzConstants(0.8, 0.0, 1.0, lambda x: 0.0)
    moved = certificate(watch.taped, star, torch.zeros_like(star), apart, 0.0)
    second = watch.taped[1]
    distance, size = torch.linalg.vector_norm(second.x - star), torch.linalg.vector_norm(second.u)
    assert moved.equilibrium >= float(distance * size)


def test_the_arithmetic_of_a_certificate():
    plain = Certificate(1.0, 0.2, 0.1)
    assert (plain.error, plain.least, plain.exact) == pytest.approx((0.3, 0.0, 0.7))
    assert plain.relative == pytest.approx(0.3 / 0.7)
    assert plain.cosine == pytest.approx((1 - 0.09) ** 0.5)
    audited = Certificate(1.0, 0.02, 0.03, correction=0.5)
    assert (audited.error, audited.least, audited.exact) == pytest.approx((0.55, 0.45, 0.95))
    assert audited.relative == pytest.approx(0.55 / 0.95)
    assert audited.cosine == pytest.approx((1 - (0.55 / 0.95) ** 2) ** 0.5)
    vacuous = Certificate(1.0, 0.7, 0.7)
    assert (vacuous.exact, vacuous.relative, vacuous.cosine) == (0.0, math.inf, -1.0)
    assert Certificate(0.0, 0.0, 0.0).relative == 0


@pytest.mark.parametrize("solver", [certified(1e-6), checkpointed(12, 4)], ids=lambda s: s.label)
def test_what_was_taped_on_the_side_is_no_part_of_a_trace(solver):
    made, found, exact = watched(Known(3, L=0.8), solver, start(2, 5))
    error = float(torch.linalg.vector_norm(found - exact))
    assert error <= made.error <= 1e4 * error + 1e-6
