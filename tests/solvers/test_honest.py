"""A rigorous certificate is never false: what it covers, what it is asked about, and what it must call an estimate."""

from __future__ import annotations

import math
import sys

import pytest
import torch
from torch import nn

from solvers import (
    GMRES,
    Anderson,
    GradientMonitor,
    LipschitzConstants,
    Picard,
    SharedInverse,
    SmoothLoss,
    TapeRecorder,
    audit,
    certificate,
    certified,
    deq,
    implicit,
    neumann,
    unrolled,
)
from tests.solvers.conftest import F64, SMOOTH, Known, gradient
from tests.solvers.test_monitor import Affine, log_of

misuse = pytest.mark.misuse


class Layer(nn.Module):
    """``0.9 tanh(Wx + gain · c + y)``, whose regularity covers c alone unless it is told otherwise."""

    def __init__(self, dtype=F64, big=0.0, gain=False, rounding=None, told=True):
        super().__init__()
        rng = torch.Generator().manual_seed(0)
        W = torch.randn(8, 8, generator=rng, dtype=F64)
        self.W = (0.999 * W / torch.linalg.matrix_norm(W, 2)).to(dtype)
        self.c = nn.Parameter(torch.full((8,), -big, dtype=dtype))
        self.y = (big + 0.3 * torch.randn(2, 8, generator=rng, dtype=F64)).to(dtype)
        self.gain = torch.ones((), dtype=dtype, requires_grad=gain)
        self.rounding, self.told = rounding, told

    def forward(self, x):
        return 0.9 * torch.tanh(x @ self.W.T + self.gain * (self.c + self.y))

    def regularity(self):
        parameters = [self.c] if self.told else None
        return LipschitzConstants(
            0.9, 0.7, 0.7, lambda x: 0.9 * 2**0.5, parameters=parameters, rounding=self.rounding
        )


def mse(x):
    return (x - 0.2).square().mean()


def told(like, *more, **rest):
    return SmoothLoss(mse, 2 / like.numel(), *more, **rest)


def exact(T, loss=mse):
    """In c, by a tight solve in float64."""
    x = implicit(Anderson(1e-14), GMRES(1e-14))(T, torch.zeros_like(T.y)).x
    return torch.autograd.grad(loss(x), T.c)[0]


def logged(T, solver, loss=None, backpropagated=None, **settings):
    monitor, log = log_of(solver, every=1, **settings)
    x0, loss = torch.zeros_like(T.y), loss or told(T.y)
    (backpropagated or loss)(monitor(T, x0, loss).x).backward()
    return log[0][1]


HOW = {
    "backward": lambda value, c: (value.backward(), c.grad)[1],
    "grad": lambda value, c: torch.autograd.grad(value, c)[0],
    "inputs": lambda value, c: (value.backward(inputs=[c]), c.grad)[1],
    "twice": lambda value, c: (value.backward(retain_graph=True), c.grad.clone(), value.backward())[1],
}


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
    "T subtracts numbers much larger than its value, in float64",
    "right: an application is shaken to see what it rounds off, and the certificate allows for that",
)
@pytest.mark.parametrize("big", [1e6, 1e13])
def test_rounding_after_cancellation_is_allowed_for(big):
    T = Layer(big=big)
    found = logged(T, implicit(Anderson(1e-13), GMRES(1e-12)))
    # What an application rounds off is about one unit of the last place of the large number, in each of 16 entries.
    assert found.distance >= 0.1 * big * torch.finfo(F64).eps


class Cancelling(nn.Module):
    """``(0.9x − 1e10) + θ`` at ``θ = 1e10 + 0.5``, whose fixed point is 5; plain iteration stops short of it."""

    def __init__(self):
        super().__init__()
        self.theta = nn.Parameter(torch.full((1,), 1e10 + 0.5, dtype=F64))

    def forward(self, x):
        return (0.9 * x - 1e10) + self.theta

    def regularity(self):
        return LipschitzConstants(0.9, 0.0, 0.0, lambda x: 1.0, parameters=[self.theta])


def test_without_the_allowance_for_rounding_a_certificate_is_false(monkeypatch):
    def ratio():
        T, loss = Cancelling(), SmoothLoss(lambda x: 0.5 * x.square().sum(), 1.0)
        monitor, log = log_of(implicit(Picard(1e-13, 2000), GMRES(1e-12)), every=1)
        loss(monitor(T, torch.zeros(1, 1, dtype=F64), loss).x).backward()
        assert log[0][1].rigorous
        return abs(float(T.theta.grad) - 50) / max(log[0][1].error, 1e-300)

    assert 0 < ratio() <= 1
    # The name of the module is that of its function too.
    monkeypatch.setattr(sys.modules["solvers._certificates.bound"], "ROUNDING", 0.0)
    assert ratio() > 1


@misuse(
    "a rigorous certificate is wanted in float32",
    "not supported: an estimate that says so, unless the regularity of T states its rounding(x)",
)
def test_float32_is_an_estimate_unless_its_rounding_is_stated():
    loose = implicit(Anderson(1e-5), GMRES(1e-4))
    found = logged(Layer(torch.float32), loose)
    assert not found.rigorous
    assert "rounding of T in float32 is not bounded" in found.why
    assert logged(Layer(torch.float32, rounding=lambda x: 1e-5), loose).rigorous


def test_a_stated_rounding_is_charged():
    solver = implicit(Anderson(1e-10), GMRES(1e-10))
    small, large = (logged(Layer(rounding=lambda x, r=r: r), solver) for r in (1e-12, 1e-2))
    assert large.distance >= 0.1
    assert small.distance < 1e-8


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


SMOOTH6 = SmoothLoss(lambda x: 0.5 * (x - 1).square().sum(), 1.0)


class Two(nn.Module):
    """``Mx + p + 3q``: two parameters."""

    def __init__(self):
        super().__init__()
        self.M = Affine().M
        self.p, self.q = (nn.Parameter(torch.linspace(-1, s, 6, dtype=F64)) for s in (1.0, 2.0))

    def forward(self, x):
        return x @ self.M.T + self.p + 3 * self.q

    def regularity(self):
        return LipschitzConstants(0.8, 0.0, 0.0, lambda x: (2 * 10) ** 0.5, parameters=[self.p, self.q])


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


@misuse("the gradient in some of the parameters is audited", "right: all numbers are those of that part")
def test_an_audit_of_a_part_is_of_that_part():
    T, x0 = Two(), torch.zeros(2, 6, dtype=F64)
    x = implicit(Anderson(1e-14), GMRES(1e-14))(T, x0).x
    p, q = torch.autograd.grad(SMOOTH6(x), [T.p, T.q])
    for part, g in ((T.p, p), (T.q, q)):
        found = audit(T, x.detach(), SMOOTH6, [part], [1.1 * g])
        error = float(0.1 * g.norm())
        assert found.rigorous
        assert found.least <= error <= found.error
        assert error / float(g.norm()) <= found.relative
        assert found.size == pytest.approx(float(g.norm()), rel=0.1)


@misuse(
    "an audit is given a parameter twice, a tensor that is no leaf, or a gradient of another shape",
    "refused: ValueError, a parameter is given twice: give each once, with its gradient",
)
def test_an_audit_refuses_what_it_cannot_be_true_of():
    T, x = Two(), torch.zeros(2, 6, dtype=F64)
    g = torch.ones(6, dtype=F64)
    for parameters, given, words in (
        ([T.p, T.p], [g, g], "given twice"),
        ([T.p + 0], [g], r"parameters\[0\], of shape \(6,\), is no leaf"),
        ([T.p, torch.ones(6, dtype=F64, requires_grad=True)], [g, g], r"parameters\[1\]"),
        ([T.p], [torch.ones(3, dtype=F64)], r"gradient\[0\] has the shape \(3,\)"),
        ([T.p], [None], r"gradient\[0\] is None"),
        ([T.p], [math.nan * g], r"gradient\[0\] is not finite"),
    ):
        with pytest.raises(ValueError, match=words):
            audit(T, x, SMOOTH6, parameters, given)


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
