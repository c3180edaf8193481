"""A monitored training is the training that it would have been, and its log is true."""

from __future__ import annotations

import dataclasses
import gc
import math
import weakref

import pytest
import torch

from solvers import (
    ESTIMATORS,
    GradientMonitor,
    TapedApplication,
    TapeRecorder,
    certificate,
    checkpointed,
    deq,
    jfb,
    neumann,
    restarted_jfb,
    unrolled,
)
from solvers.conformance import Contraction, dense_oracle, quadratic, start
from tests.helpers.monitored import SMOOTH, Affine, backpropagate, log_of


@pytest.mark.parametrize("audit", [False, True])
@pytest.mark.parametrize("name", list(ESTIMATORS))
def test_the_gradient_stays_what_it_was_to_the_bit(name, audit):
    solver = ESTIMATORS[name].example
    for T in (Contraction(), Affine()):
        expected, plain = backpropagate(solver, T)
        monitor, log = log_of(solver, every=1, audit=audit)
        found, solution = backpropagate(monitor, T)
        assert len(log) == 1
        assert log[0][1].error < math.inf, log[0][1].why
        assert torch.equal(solution.x, plain.x)
        if name == "phantom" and not audit:
            # A damped step reaches x by two ways, whose sum is now put in other brackets.
            torch.testing.assert_close(found, expected, rtol=1e-14, atol=0)
        else:
            assert torch.equal(found, expected)
        assert (solution.applications, solution.vjps) == (plain.applications, plain.vjps)


@pytest.mark.parametrize("audit", [False, True])
@pytest.mark.parametrize("name", list(ESTIMATORS))
def test_what_is_logged_bounds_the_error(name, audit):
    T = Affine()
    monitor, log = log_of(ESTIMATORS[name].example, every=1, audit=audit)
    gradient, _ = backpropagate(monitor, T, SMOOTH)
    error = float((gradient - dense_oracle(T, start(2, 6))).norm())
    ((_, found),) = log
    assert found.rigorous
    assert found.why == ""
    assert found.least <= error <= found.error
    if not audit:
        assert found.size == pytest.approx(float(gradient.norm()), rel=1e-12)
    elif error > 1e-6:
        assert found.error <= 3.01 * found.least


def test_it_is_the_certificate_that_a_watch_would_give():
    T, cotangents = Affine(), []
    monitor, log = log_of(neumann(40, 3), every=1)
    gradient, _ = backpropagate(monitor, T, SMOOTH)
    watch = TapeRecorder(T)
    x = neumann(40, 3)(watch, start(2, 6)).x
    x.register_hook(cotangents.append)
    quadratic(x).backward()
    byhand = certificate(watch.taped, x, cotangents[0], T.regularity(), 1.0, size=float(gradient.norm()))
    # Where hooks sit, shaking meets the same operations in another order.
    assert log[0][1].adjoint == pytest.approx(byhand.adjoint, rel=1e-9)
    assert dataclasses.replace(log[0][1], adjoint=byhand.adjoint) == byhand


def test_every_nth_backward_pass_is_looked_at_and_nothing_else():
    T = Affine()
    monitor, log = log_of(jfb(3), every=3)
    monitor(T, start(2, 6), SMOOTH)  # never backpropagated
    for _ in range(7):
        with torch.no_grad():
            monitor(T, start(2, 6))
        backpropagate(monitor, T, SMOOTH)
    assert [step for step, _ in log] == [0, 3, 6]
    assert monitor.step == 7
    assert monitor.latest is log[-1][1]


def test_it_is_logged_when_the_gradient_is_there_and_nothing_has_moved():
    T = Affine()
    before, seen = T.theta.detach().clone(), []

    def log(step, found):
        seen.append((T.theta.grad.clone(), torch.equal(T.theta, before)))

    optimiser = torch.optim.SGD(T.parameters(), 0.1)
    gradient, _ = backpropagate(GradientMonitor(deq(1e-6), log, every=1), T, SMOOTH)
    optimiser.step()
    ((there, still),) = seen
    assert still
    assert torch.equal(there, gradient)


def test_a_gradient_that_was_there_before_does_not_count():
    T = Affine()
    monitor, log = log_of(neumann(40, 3), every=1)
    backpropagate(monitor, T, SMOOTH)
    T.theta.grad = torch.full_like(T.theta, 1e9)
    quadratic(monitor(T, start(2, 6), SMOOTH).x).backward()
    assert log[0][1] == log[1][1]


@pytest.mark.parametrize("audit", [False, True])
def test_a_multiple_of_the_loss_is_known_for_what_it_is(audit):
    T = Affine()
    monitor, log = log_of(neumann(40, 3), every=1, audit=audit)
    for factor in (1.0, 2.0**-10):
        (factor * quadratic(monitor(T, start(2, 6), SMOOTH).x)).backward()
    once, scaled = (found for _, found in log)
    assert scaled.error == pytest.approx(once.error * 2.0**-10, rel=1e-9)
    assert scaled.relative == pytest.approx(once.relative, rel=1e-9)
    assert scaled.rigorous


def test_by_a_given_smoothness_no_loss_is_needed():
    T = Affine()
    told, log = log_of(neumann(40, 3), every=1)
    backpropagate(told, T, SMOOTH)
    for smoothness in (1.0, lambda x: 12 / x.numel()):
        given, other = log_of(neumann(40, 3), every=1, smoothness=smoothness)
        quadratic(given(T, start(2, 6)).x).backward()
        assert other[0][1] == log[0][1]


def test_neither_loss_nor_smoothness_is_refused_in_a_line():
    with pytest.raises(ValueError, match=r"curvature of the loss is not known.*smoothness") as caught:
        GradientMonitor(jfb(3), print)(Affine(), start(2, 6))
    assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="an audit needs the loss"):
        GradientMonitor(jfb(3), print, audit=True, smoothness=1.0)(Affine(), start(2, 6))
    with torch.no_grad():
        GradientMonitor(jfb(3), print)(Affine(), start(2, 6))
    with pytest.raises(ValueError, match="every must be at least 1, not 0"):
        GradientMonitor(jfb(3), print, every=0)


def test_what_cannot_be_certified_is_logged_and_the_training_goes_on():
    class Broken(Affine):
        def regularity(self):
            raise RuntimeError("no idea")

    def other(x):
        return x.pow(4).sum()

    for T, told, why in (
        (Affine(known=1.0), SMOOTH, "L = 1 is not below 1"),
        (Broken(), SMOOTH, "RuntimeError: no idea"),
        (Affine(), other, "not the one that was backpropagated"),
    ):
        for audit in (False, True):
            monitor, log = log_of(neumann(40, 3), every=1, audit=audit)
            T.zero_grad()
            quadratic(monitor(T, start(2, 6), told).x).backward()
            assert why in log[0][1].why
            assert log[0][1].relative == math.inf
            assert not log[0][1].rigorous
            assert T.theta.grad is not None


def test_an_error_of_the_log_is_the_callers():
    def log(step, found):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        backpropagate(GradientMonitor(jfb(3), log, every=1), Affine(), SMOOTH)


@pytest.mark.parametrize("audit", [False, True])
@pytest.mark.parametrize("solver", [restarted_jfb(3, 10), checkpointed(7, 3)])
def test_nothing_is_kept(solver, audit):
    gc.collect()
    before = {
        id(kept): kept for kept in gc.get_objects() if type(kept) is TapedApplication
    }  # those of other tests
    gc.disable()

    def taped() -> list[TapedApplication]:
        return [
            kept for kept in gc.get_objects() if type(kept) is TapedApplication and id(kept) not in before
        ]

    try:
        monitor, log = log_of(solver, every=1, audit=audit)
        for backward in (True, False):
            T = Affine()
            solution = monitor(T, start(2, 6), SMOOTH)
            if backward:
                quadratic(solution.x).backward()  # and the solution stays
                assert all(kept.x.numel() == 0 and kept.u is None and kept.a is None for kept in taped())
            theta = T.theta
            map_ = weakref.ref(T)
            if not backward:
                del solution
                assert not taped()
            del T
            assert not theta._backward_hooks
            if not backward:
                assert map_() is None
            solution = None
        assert map_() is None
        assert len(log) == 1
    finally:
        gc.enable()


def test_other_ways_of_going_back():
    T = Affine()
    monitor, log = log_of(restarted_jfb(3, 10), every=1)
    expected, _ = backpropagate(monitor, T, SMOOTH)
    found = torch.autograd.grad(quadratic(monitor(T, start(2, 6), SMOOTH).x), T.theta)
    assert torch.equal(found[0], expected)
    value = quadratic(monitor(T, start(2, 6), SMOOTH).x)
    value.backward(retain_graph=True)
    value.backward()
    assert [step for step, _ in log] == [0, 1, 2]
    assert monitor.step == 4
    assert log[0][1] == log[1][1] == log[2][1]


def test_a_loop_without_a_solver():
    T, cotangents = Affine(), []
    watch, x = TapeRecorder(T), start(2, 6)
    for _ in range(30):
        x = watch(x)
    x.register_hook(cotangents.append)
    quadratic(x).backward()
    found = certificate(watch.taped, x, cotangents[0], T.regularity(), 1.0, size=float(T.theta.grad.norm()))
    error = float((T.theta.grad - dense_oracle(T, start(2, 6))).norm())
    assert error <= found.error
    assert found.relative < 0.1
    expected, _ = backpropagate(unrolled(30), Affine())
    assert torch.equal(T.theta.grad, expected)
