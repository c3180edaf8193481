"""The way back: what changed since, what is drawn again, hooks, retained graphs, and cotangents that are reused."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from solvers import (
    GMRES,
    Anderson,
    FixedSteps,
    Picard,
    checkpointed,
    deq,
    implicit,
    neumann,
    phantom,
    restarted_jfb,
    unrolled,
)

# Not public: the autograd function behind every implicit differentiation.
from solvers._backward.modes import exchanged
from solvers.conformance import Contraction, leaves_no_tape, quadratic, relative_error, start
from tests.helpers.known_maps import matrix
from tests.helpers.maps import by_label
from tests.helpers.tensors import F64

W = matrix(6, 0.7, 3)
EXACT = [
    deq(1e-12),
    implicit(Anderson(1e-12), GMRES(1e-12)),
    neumann(100, 100),
    unrolled(100),
    checkpointed(100),
]


@pytest.mark.parametrize("segment", [0, 1, 4, 20])
@pytest.mark.misuse(
    "dropout inside T, under checkpointed", "right: the gradient of unrolled with the same seed"
)
def test_dropout_is_drawn_again_on_the_way_back(segment: int):
    T = nn.Sequential(nn.Linear(6, 6), nn.Dropout(0.4), nn.Tanh()).double()
    x0, found = start(4, 6), []
    for solver in (unrolled(9), checkpointed(9, segment)):
        torch.manual_seed(3)
        x = solver(T, x0).x
        torch.rand(7)  # whatever is drawn between
        after = torch.get_rng_state()
        found.append(torch.autograd.grad(quadratic(x), list(T.parameters())))
        assert torch.equal(torch.get_rng_state(), after)
    for g, right in zip(found[1], found[0], strict=True):
        assert torch.equal(g, right)


@pytest.mark.misuse(
    "T draws from a generator of its own, under checkpointed",
    "refused: T gives another value than in the solve",
)
def test_random_numbers_of_its_own_are_noticed():
    rng, theta = torch.Generator().manual_seed(0), torch.ones(6, dtype=F64, requires_grad=True)

    def T(x: Tensor) -> Tensor:
        return 0.5 * torch.tanh(x @ W.T + theta) + 0.1 * torch.randn(6, generator=rng, dtype=F64)

    with pytest.raises(RuntimeError, match="T gives another value"):
        quadratic(checkpointed(9)(T, start(2, 6)).x).backward()


class Measured(nn.Module):
    """A map with measurements that samples can be picked of, the first of which converges long before the others."""

    def __init__(self, n: int = 3) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.linspace(-1, 1, 6, dtype=F64))
        self.rate = torch.tensor([0.1, 0.9, 0.9], dtype=F64)[:, None]
        self.y = start(n, 6)

    def forward(self, x: Tensor) -> Tensor:
        return self.rate * torch.tanh(x @ W.T) + self.y + self.theta

    def select(self, index: Tensor) -> Measured:
        picked = Measured()
        picked.theta, picked.rate, picked.y = self.theta, self.rate[index], self.y[index]
        return picked


LATE = [
    pytest.param(
        checkpointed(9),
        marks=pytest.mark.misuse(
            "the optimiser steps between checkpointed's solve and backward()",
            "refused: a parameter of T, of shape",
        ),
    ),
    checkpointed(5, 1),
    implicit(Picard(1e-10), Picard(1e-10)),
]


@pytest.mark.parametrize("solver", LATE, ids=lambda s: s.label)
def test_a_parameter_stepped_before_the_way_back_is_noticed(solver):
    T = Measured()
    for retain in (False, True):
        x = solver(T, start(3, 6)).x
        if retain:
            quadratic(x).backward(retain_graph=True)
        with torch.no_grad():
            T.theta.mul_(1 - 1e-9)
        with pytest.raises(RuntimeError, match=r"a parameter of T, of shape \(6,\), was changed in place"):
            quadratic(x).backward()


@pytest.mark.parametrize("solver", LATE[:2] + LATE[3:], ids=lambda s: s.label)
@pytest.mark.misuse(
    "the measurements of T are exchanged between the solve and backward()",
    "refused: T gives another value than in the solve",
)
def test_other_measurements_are_noticed(solver):
    T = Measured()
    x = solver(T, start(3, 6)).x
    T.y = -2 * T.y
    with pytest.raises(RuntimeError, match="T gives another value"):
        quadratic(x).backward()


def test_a_parameter_that_no_product_needs_may_step():
    """As with autograd: the tape is whole, so the gradient is that of the solve."""
    T, x0 = Measured(), start(3, 6)
    (right,) = torch.autograd.grad(quadratic(deq(1e-10)(T, x0).x), T.theta)
    x = implicit(Anderson(1e-10), GMRES(1e-10))(T, x0).x
    with torch.no_grad():
        T.theta.add_(1)
    (g,) = torch.autograd.grad(quadratic(x), T.theta)
    assert relative_error(g, right) < 1e-8


@by_label(EXACT)
@pytest.mark.misuse("backward() twice, with retain_graph=True", "right: the same gradient, added up")
def test_a_second_pass_brings_the_same(solver):
    T = Contraction()
    loss = quadratic(solver(T, start(2, 6)).x)
    first = torch.autograd.grad(loss, T.c, retain_graph=True)[0]
    assert torch.equal(torch.autograd.grad(loss, T.c, retain_graph=True)[0], first)
    loss.backward()
    assert T.c.grad is not None
    assert torch.equal(T.c.grad, first)


@by_label(EXACT)
@pytest.mark.misuse(
    "one buffer of cotangents is filled again for each row of a Jacobian", "right: each row is its own"
)
def test_a_cotangent_that_is_used_again(solver):
    T = Contraction()
    x = solver(T, start(6)).x
    unit, rows = torch.zeros_like(x), []
    for i in range(6):
        unit.zero_()
        unit[i] = 1
        rows.append(torch.autograd.grad(x, T.c, unit, retain_graph=True)[0])
    right = torch.stack([torch.autograd.grad(x[i], T.c, retain_graph=True)[0] for i in range(6)])
    assert torch.equal(torch.stack(rows), right)


@by_label(EXACT)
@pytest.mark.misuse("x.clamp_(0, 1) of a solution", "right: the solution is a tensor of its own")
def test_a_solution_may_be_changed_in_place(solver):
    theta = torch.zeros(6, dtype=F64, requires_grad=True)

    def T(x: Tensor) -> Tensor:
        return 0.5 * torch.tanh(x @ W.T) + theta + 0.3

    x, right = solver(T, start(2, 6)).x, solver(T, start(2, 6)).x
    x.clamp_(0, 1).mul_(2)
    (g,), (h,) = (
        torch.autograd.grad(x.sum(), theta),
        torch.autograd.grad((2 * right.clamp(0, 1)).sum(), theta),
    )
    torch.testing.assert_close(g, h, rtol=1e-9, atol=0)


@by_label([*EXACT, phantom(30, 30), restarted_jfb(20, 2)])
@pytest.mark.misuse(
    "hooks on parameters, or on what they are computed from", "right: each runs once, on the gradient"
)
def test_hooks_run_once_on_the_gradient(solver):
    phi = torch.linspace(-1, 1, 6, dtype=F64, requires_grad=True)

    def solved(hook):
        calls = []
        theta = torch.tanh(phi)
        theta.retain_grad()
        if hook:
            theta.register_hook(lambda g: calls.append("between"))
            handle = phi.register_hook(lambda g: calls.append("leaf") or 2 * g)
        quadratic(solver(lambda x: torch.tanh(x @ W.T + theta), start(2, 6)).x).backward()
        if hook:
            handle.remove()
        g, phi.grad = phi.grad, None
        return g, theta.grad, calls

    (g, between, calls), (plain, right, _) = solved(True), solved(False)
    assert sorted(calls) == ["between", "leaf"]
    assert torch.equal(between, right)
    assert torch.equal(g, 2 * plain)


def test_an_exchange_keeps_nothing_of_the_callers():
    seen, w = [], torch.ones(3, requires_grad=True)
    x = exchanged(2 * w, lambda v: seen.append((v, torch.is_grad_enabled())) or 3 * v)
    assert not x._is_view()
    v = torch.ones(3)
    x.backward(v)
    assert torch.equal(w.grad, torch.full((3,), 6.0))  # pyright: ignore
    v.zero_()
    assert torch.equal(seen[0][0], torch.ones(3))
    assert seen[0][1] is False
    with pytest.raises(RuntimeError, match="create_graph=True"):
        torch.autograd.grad(exchanged(2 * w, lambda v: v).sum(), w, create_graph=True)


def test_nothing_of_a_segment_outlives_it():
    leaves_no_tape(checkpointed(9))
    leaves_no_tape(implicit(FixedSteps(5), FixedSteps(5)))
