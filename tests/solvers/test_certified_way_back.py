"""How certified goes back: cotangents are exchanged at the value, and nothing of the user's is touched on the way."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from solvers import GMRES, Anderson, CertifiedBackward, Solution, StagnationWarning, certified, implicit

# Not public: what the goal of certified() is computed from.
from solvers._certificates.search import CertifiedGradient
from solvers.conformance import relative_error
from tests.helpers.known_maps import SMOOTH, Known, gradient, matrix
from tests.helpers.tensors import F64

misuse = pytest.mark.misuse
REFERENCE = implicit(Anderson(1e-13), GMRES(1e-13))
W = matrix(6, 0.8, 3)


def quadratic(x):
    return (x - 1).square().sum()


def test_the_goal_is_relative_to_the_exact_gradient_and_not_to_the_one_that_was_found():
    """``‖g − F'‖ ≤ c ‖g‖`` gives ``‖g − F'‖ ≤ c/(1 − c) ‖F'‖``: ``c = rtol/(1 + rtol)`` and no more."""
    one = CertifiedGradient({0: torch.tensor([3.0, 4.0])})
    for rtol in (1e-3, 0.1, 1.0, 3.0):
        allowed = CertifiedBackward(rtol, 10).goal(one) / 5.0
        assert allowed / (1 - allowed) == pytest.approx(rtol)


@misuse("tensors of T have hooks, and the solver is certified", "right: hooks run once, on the gradient")
@pytest.mark.parametrize("told", [quadratic, None])
def test_hooks_run_once_and_on_the_gradient(told):
    found = {}
    for name, solver in (("exact", REFERENCE), ("certified", certified(1e-8))):
        phi, calls = torch.linspace(-1, 1, 6, dtype=F64).requires_grad_(), []
        phi.register_hook(lambda g, calls=calls: calls.append(1) or 2 * g)
        theta = torch.tanh(phi)
        theta.register_hook(lambda g, calls=calls: calls.append(2) or 3 * g)
        theta.retain_grad()
        T = lambda x, theta=theta: torch.tanh(x @ W.T + theta)  # noqa: E731
        quadratic(solver(T, torch.zeros(2, 6, dtype=F64), told).x).backward()
        found[name] = phi.grad, theta.grad, sorted(calls)
    assert found["certified"][2] == found["exact"][2] == [1, 2]
    for mine, exact in zip(found["certified"][:2], found["exact"][:2], strict=True):
        assert relative_error(mine, exact) <= 1e-6


def test_hooks_of_what_the_loss_sees_run_once():
    phi, calls = torch.ones(6, dtype=F64, requires_grad=True), []
    phi.register_hook(lambda g: calls.append(1))
    loss = lambda x: quadratic(x) + (phi.tanh() * x).sum()  # noqa: E731
    loss(
        certified(1e-4)(lambda x: torch.tanh(x @ W.T + phi), torch.zeros(2, 6, dtype=F64), loss).x
    ).backward()
    assert calls == [1]


class Scale(torch.autograd.Function):
    """A function of the user's own, between T and its parameter."""

    @staticmethod
    def forward(ctx, a, b):
        ctx.save_for_backward(a, b)
        return a * b

    @staticmethod
    def backward(ctx, g):
        a, b = ctx.saved_tensors
        return g * b, (g * a).sum().view_as(b) if ctx.needs_input_grad[1] else None


@misuse(
    "the gradient of a tensor that is no leaf is asked for",
    "right: as with any solver, by torch.autograd.grad",
)
def test_tensors_between_get_their_gradient():
    found = []
    for solver in (REFERENCE, certified(1e-8)):
        phi, scale = (torch.full((6,), v, dtype=F64, requires_grad=True) for v in (0.3, 0.7))
        theta = Scale.apply(torch.tanh(phi), scale[0])
        theta.register_hook(lambda g: None)
        x = solver(
            lambda x, theta=theta: torch.tanh(x @ W.T + theta), torch.zeros(2, 6, dtype=F64), quadratic
        ).x
        found.append(torch.cat([g.flatten() for g in torch.autograd.grad(quadratic(x), [theta, phi, scale])]))
    assert relative_error(found[1], found[0]) <= 1e-6


@misuse("one cotangent is used again and again, as for rows of a Jacobian", "right: the row of each")
@pytest.mark.parametrize("told", [quadratic, None])
def test_a_cotangent_is_not_kept_by_reference(told):
    rows = []
    weight = W.clone().requires_grad_()
    for solver in (REFERENCE, certified(1e-9)):
        x = solver(lambda x: torch.tanh(x @ weight.T + 1), torch.zeros(6, dtype=F64), told).x
        unit = torch.zeros_like(x)
        for i in range(3):
            unit.zero_()
            unit[i] = 1
            rows.append(torch.autograd.grad(x, weight, unit, retain_graph=True)[0].clone())
    assert relative_error(torch.stack(rows[3:]), torch.stack(rows[:3])) <= 1e-6


@misuse(
    "a parameter is stepped between a certified solve and backward()",
    "refused: RuntimeError, a parameter of T was changed in place after the solve: call backward() before the step",
)
@pytest.mark.parametrize("told", [SMOOTH, None])
def test_a_step_before_backward_is_refused(told):
    T = Known(5)
    x = certified(1e-3)(T, torch.zeros(2, 5, dtype=F64), told).x
    with torch.no_grad():
        T.theta.mul_(0.9)
    with pytest.raises(RuntimeError, match="before the step"):
        SMOOTH(x).backward()


@misuse(
    "one sample's cotangent is nan or inf, and the solver is certified",
    "right: that gradient is not finite, the other samples keep theirs, and there is no certificate",
)
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_not_finite_is_not_hidden(value):
    target = torch.zeros(3, 6, dtype=F64)
    target[1, 2] = value
    grads = []
    for solver, t in ((REFERENCE, torch.zeros(3, 6, dtype=F64)), (certified(1e-4), target)):
        each = torch.ones(3, 6, dtype=F64, requires_grad=True)
        loss = lambda x, t=t: (x - t).square().sum()  # noqa: E731
        solution = solver(lambda x, each=each: torch.tanh(x @ W.T + each), torch.zeros(3, 6, dtype=F64), loss)
        loss(solution.x).backward()
        grads.append(each.grad)
    assert not bool(grads[1][1].isfinite().all())
    assert relative_error(grads[1][[0, 2]], grads[0][[0, 2]]) <= 1e-3
    assert solution.certificates[0].error == math.inf
    assert "not finite" in solution.certificates[0].why
    assert not solution.converged


def denoised(dtype):
    """A forward–backward step with soft thresholding and a blur, as people write it; its L is near 1."""
    rng = torch.Generator().manual_seed(0)
    kernel = torch.tensor([1.0, 2, 1], dtype=dtype) / 4
    kernel = torch.outer(kernel, kernel)[None, None]
    y = torch.rand(1, 1, 32, 32, generator=rng, dtype=F64).to(dtype)
    weight = torch.tensor(0.01, dtype=dtype, requires_grad=True)

    def blur(x):
        return torch.nn.functional.conv2d(nn.functional.pad(x, (1, 1, 1, 1), mode="circular"), kernel)

    def T(x):
        z = x - blur(blur(x) - y)
        return z - z.clamp(-weight, weight)

    return T, y, weight


@misuse(
    "certified on an iteration in float32 whose rounding does not let the certificate be met",
    "right: it stops after a few rounds without progress, and warns with what to do (StagnationWarning)",
)
def test_stagnation_ends_and_is_told():
    T, y, weight = denoised(torch.float32)
    loss = lambda x: (x - 0.5).square().mean()  # noqa: E731
    with pytest.warns(StagnationWarning, match="solve in float64"):
        solution: Solution = certified(1e-2)(T, y, loss)
    loss(solution.x).backward()
    assert weight.grad is not None
    assert len(solution.adjoint) <= 40
    assert solution.applications + solution.vjps < 1600
    assert not solution.converged


@misuse("an empty batch", "right: an empty solution, and a gradient of zero")
def test_an_empty_batch():
    T = Known(1)
    found, solution = gradient(T, certified(1e-3), torch.zeros(0, 5, dtype=F64))
    assert solution.x.shape == (0, 5)
    assert not found.any()


@misuse("complex states", "right: real and imaginary parts are two real numbers each")
def test_complex_states():
    rng = torch.Generator().manual_seed(0)
    y = torch.randn(2, 1, 8, 8, generator=rng, dtype=torch.complex128)
    loss = lambda x: x.abs().square().mean()  # noqa: E731
    g = torch.tensor(0.5, dtype=F64, requires_grad=True)
    T = lambda x: 0.9 * (x - g * (torch.fft.ifft2(torch.fft.fft2(x)) - y))  # noqa: E731
    solution = certified(1e-6)(T, y.clone(), loss)
    loss(solution.x).backward()
    c, slope = 0.45 / 0.55, 0.09 / 0.55**2
    assert float(g.grad) == pytest.approx(2 * c * slope * float(y.abs().square().mean()), rel=1e-5)
    assert solution.certificates[0].relative <= 1e-6
