"""A rigorous certificate is never false: what it covers, and what it must call an estimate."""

from __future__ import annotations

import math

import pytest
import torch

from solvers import (
    GMRES,
    Anderson,
    GradientMonitor,
    LipschitzConstants,
    SharedInverse,
    SmoothLoss,
    TapeRecorder,
    certificate,
    certified,
    deq,
    implicit,
    neumann,
    unrolled,
)
from tests.helpers.certified_maps import HOW, SMOOTH6, Layer, exact, logged, misuse, mse, told
from tests.helpers.known_maps import SMOOTH, Known, gradient
from tests.helpers.monitored import Affine, log_of
from tests.helpers.tensors import F64


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize(
    "solver",
    [
        neumann(60, 3),
        implicit(Anderson(1e-10, shared=True), SharedInverse(1)),
        implicit(Anderson(1e-10), GMRES(0.3)),
    ],
    ids=lambda s: s.label,
)
@misuse(
    "the gradient of a monitored step is taken by torch.autograd.grad, backward(inputs=…) or two passes",
    "right: the certificate bounds the gradient of the first pass, whichever way it is taken",
)
def test_however_the_gradient_is_taken_its_certificate_is_true(how, solver):
    T = Layer()
    monitor, log = log_of(solver, every=1)
    value = told(T.y)(monitor(T, torch.zeros_like(T.y), told(T.y)).x)
    found = HOW[how](value, T.c)
    made = log[0][1]
    assert made.rigorous
    assert float((found - exact(T)).norm()) <= made.error < 1


def test_a_watch_makes_again_what_autograd_grad_left_out():
    T, cotangents = Layer(), []
    made = {}
    for how in ("backward", "grad"):
        watch = TapeRecorder(T)
        x = neumann(60, 3)(watch, torch.zeros_like(T.y)).x
        x.register_hook(cotangents.append)
        HOW[how](mse(x), T.c)
        made[how] = certificate(watch.taped, x, cotangents[-1], T.regularity(), 2 / x.numel())
    assert made["grad"].error == pytest.approx(made["backward"].error, rel=1e-9)
    assert made["grad"].rigorous


def test_a_stale_product_is_never_taken_for_one_of_the_pass():
    T, watch = Layer(), None
    watch = TapeRecorder(T)
    x = watch(torch.zeros_like(T.y).requires_grad_())
    torch.autograd.grad(x, next(iter(watch.taped)).leaves[:0] or T.c, torch.ones_like(x), retain_graph=True)
    torch.autograd.grad(mse(x), T.c)
    assert watch.taped[0].a is None


@misuse(
    "another tensor on T's tape needs a gradient, e.g. a learned gain on the measurements",
    "not supported: the certificate calls itself an estimate and names the shape of the leaf that is not covered",
)
@pytest.mark.parametrize("solver", [deq(1e-10), certified(0.3)], ids=lambda s: s.label)
def test_a_leaf_that_the_regularity_does_not_cover_makes_an_estimate(solver):
    found = logged(Layer(gain=True), solver)
    assert not found.rigorous
    assert found.why.startswith("a leaf of shape () on the tape of T")
    assert logged(Layer(), solver).rigorous


@misuse(
    "a regularity of one's own does not say which parameters its B is meant for",
    "not supported: the certificate calls itself an estimate and says to give parameters=[…]",
)
def test_constants_for_nobody_knows_which_leaves_make_an_estimate():
    found = logged(Layer(told=False), deq(1e-8))
    assert not found.rigorous
    assert "parameters=[…]" in found.why


@misuse(
    "the loss that is backpropagated differs a little from the one that was told",
    "right: what the cotangents differ by is charged, and the certificate calls itself an estimate",
)
@pytest.mark.parametrize("solver", [deq(1e-10), certified(0.1)], ids=lambda s: s.label)
def test_what_another_loss_differs_by_is_charged(solver):
    T = Layer()

    def tilted(x):
        return mse(x) + 1e-8 * x.sum()

    found = logged(T, solver, backpropagated=tilted)
    assert not found.rigorous
    assert "differs by" in found.why
    assert float((T.c.grad - exact(T)).norm()) <= found.error


@misuse(
    "the loss is multiplied by a weight after a certified solve was told of it",
    "right: the certificate is that of the multiple",
)
def test_a_certified_gradient_of_a_multiple_has_the_certificate_of_the_multiple():
    T, x0 = Known(5), torch.zeros(2, 5, dtype=F64)
    _, one = gradient(T, certified(1e-2), x0)
    _, scaled = gradient(T, certified(1e-2), x0, loss=lambda x: -1e3 * SMOOTH(x))
    assert scaled.certificates[0].error == pytest.approx(1e3 * one.certificates[0].error, rel=1e-9)


@misuse(
    "the weight of the loss is zero",
    "right: the gradient is zero, and its certificate an estimate, since nothing tells what loss it is of",
)
def test_a_zero_cotangent_does_not_tell_its_loss():
    found = logged(Layer(), deq(1e-8), backpropagated=lambda x: 0 * mse(x))
    assert (found.error, found.rigorous) == (0.0, False)


@misuse(
    "the loss sees the parameters, and nobody said which its direct constant is meant for",
    "not supported: the certificate calls itself an estimate and says to give SmoothLoss(…, parameters=[…])",
)
def test_leaves_of_the_loss_must_be_covered_too():
    T = Layer()

    def seeing(x):
        return mse(x) + T.c.sum() * x.mean()

    silent, said = (
        SmoothLoss(seeing, 2 / 16, 1.0),
        SmoothLoss(seeing, 2 / 16, 8**0.5 / 4, [T.c]),
    )
    assert "parameters=[…]" in logged(T, deq(1e-8), silent).why
    assert logged(T, deq(1e-8), said).rigorous


@misuse(
    "a constant of a map or a loss is negative or nan",
    "refused: ValueError, smoothness must be a number of at least 0, not -1: it bounds a norm",
)
@pytest.mark.parametrize("bad", [-1.0, math.nan])
def test_impossible_constants_are_refused(bad):
    with pytest.raises(ValueError, match="smoothness must be a number of at least 0"):
        SmoothLoss(mse, bad)
    with pytest.raises(ValueError, match="direct must be a number of at least 0"):
        SmoothLoss(mse, 1.0, bad)
    for place, name in enumerate(("L", "M_J", "M_B")):
        constants = [0.5, 0.1, 0.1]
        constants[place] = bad
        with pytest.raises(ValueError, match=f"{name} must be a number of at least 0"):
            LipschitzConstants(*constants, lambda x: 1.0)
    with pytest.raises(ValueError, match="smoothness must be"):
        GradientMonitor(deq(1e-3), print, smoothness=bad)

    class Odd(Affine):
        def regularity(self):
            return LipschitzConstants(0.8, 0.0, 0.0, lambda x: bad, parameters=[self.theta])

    monitor, log = log_of(deq(1e-8), every=1)
    SMOOTH6(monitor(Odd(), torch.zeros(2, 6, dtype=F64), SMOOTH6).x).backward()
    assert log[0][1].error == math.inf
    assert "size in the derivative bounds of T must be" in log[0][1].why
    with pytest.raises(ValueError, match="in the derivative bounds of T"):
        certified(1e-2)(Odd(), torch.zeros(2, 6, dtype=F64), SMOOTH6)


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("told", [True, False])
def test_products_within_a_pass_leave_nothing_out(how, told):
    """Within ``torch.autograd.grad``, a node that is called gives only what that pass has asked for."""
    T = Layer(told=told)

    def seeing(x):
        return mse(x) + T.c.tanh().sum() * x.mean()

    loss = SmoothLoss(seeing, 2 / 16, 1.0, [T.c])
    monitor, log = log_of(deq(0.1), every=1, audit=True)
    value = seeing(monitor(T, torch.zeros_like(T.y), loss).x)
    found = HOW[how](value, T.c)
    x = implicit(Anderson(1e-14), GMRES(1e-14))(T, torch.zeros_like(T.y)).x
    (right,) = torch.autograd.grad(seeing(x), T.c)
    assert log[0][1].least <= float((found - right).norm()) <= log[0][1].error < 0.1


@misuse(
    "a parameter is stepped between a monitored solve and backward()",
    "not supported: the gradient is that of the tape, and the certificate is none, with the reason",
)
def test_a_step_before_backward_leaves_no_certificate():
    T = Layer()
    monitor, log = log_of(unrolled(40), every=1)
    value = mse(monitor(T, torch.zeros_like(T.y), told(T.y)).x)
    with torch.no_grad():
        T.c.add_(0.1)
    value.backward()
    assert log[0][1].error == math.inf
    assert "before the step" in log[0][1].why


def test_a_watch_whose_parameters_were_stepped_is_an_estimate():
    T, cotangents = Layer(), []
    watch = TapeRecorder(T)
    x = neumann(60, 3)(watch, torch.zeros_like(T.y)).x
    x.register_hook(cotangents.append)
    mse(x).backward()
    with torch.no_grad():
        T.c.add_(0.1)
    found = certificate(watch.taped, x, cotangents[0], T.regularity(), 2 / x.numel())
    assert not found.rigorous
    assert "before the step" in found.why


@misuse("a monitored solution is changed in place, e.g. by clamp_", "right: as without the Monitor")
@pytest.mark.parametrize("solver", [unrolled(60), deq(1e-10), certified(1e-3)], ids=lambda s: s.label)
def test_a_monitored_solution_may_be_changed_in_place(solver):
    T = Affine()
    grads = []
    for each in (solver, GradientMonitor(solver, lambda step, found: None, every=1, smoothness=2.0)):
        T.zero_grad()
        x = each(T, torch.zeros(2, 6, dtype=F64), SMOOTH6).x
        x.clamp_(-0.5, 0.5)
        SMOOTH6(x).backward()
        grads.append(T.theta.grad.clone())
    assert torch.allclose(*grads, rtol=1e-9)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_not_finite_has_no_certificate(value):
    T = Layer()
    found = logged(T, deq(1e-8), backpropagated=lambda x: (value * x).sum())
    assert found.error == math.inf
    assert not found.rigorous
