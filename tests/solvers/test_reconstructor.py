"""A model is its operator, run by its solver: images, gradients and parameters are theirs."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from solvers import GradientMonitor, Reconstructor, SmoothLoss, certified, deq, phantom, restarted_jfb
from solvers.conformance import quadratic

PHYSICS = SimpleNamespace(A_adjoint=lambda y: 2 * y)


class Iteration(nn.Module):
    """x -> θ x + y."""

    def __init__(self) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.tensor(0.5, dtype=torch.float64))

    def forward(self, x: Tensor, y: Tensor, physics: object) -> Tensor:
        assert physics is PHYSICS
        return self.theta * x + y


class Bound(Iteration):
    """The same, with a map that notes its applications."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def bind(self, y, physics):
        def T(x):
            self.seen.append(x.detach())
            return self(x, y, physics)

        return T


class Halves(Bound):
    """The same on states of half the image."""

    def start(self, image):
        return image / 2

    def image(self, state):
        return 2 * state


Y = torch.tensor([[1.0, -2.0]], dtype=torch.float64)


def gradient(x, operator):
    (g,) = torch.autograd.grad(quadratic(x), [operator.theta])
    return float(g)


@pytest.mark.parametrize("solver", [restarted_jfb(3, 2), deq(1e-12)], ids=["restarted_jfb", "deq"])
def test_it_is_the_solver_on_the_bound_operator(solver):
    operator = Iteration()
    x = Reconstructor(operator, solver)(Y, PHYSICS)
    by_hand = solver(lambda x: operator.theta * x + Y, 2 * Y).x
    assert torch.equal(x, by_hand)
    assert gradient(x, operator) == gradient(by_hand, operator) != 0


def test_what_is_learned_is_the_operators():
    operator = Iteration()
    model = Reconstructor(operator, deq(1e-12))
    assert list(model.parameters()) == [operator.theta]
    assert model.state_dict().keys() == {"operator.theta"}


def test_an_operator_may_bind_itself_and_iterate_on_states():
    bound, halves = Bound(), Halves()
    Reconstructor(bound, restarted_jfb(1, 1))(Y, PHYSICS)
    assert torch.equal(bound.seen[0], 2 * Y)
    x = Reconstructor(halves, deq(1e-12))(Y, PHYSICS)
    assert torch.equal(halves.seen[0], Y)
    torch.testing.assert_close(x, 2 * Y / (1 - 0.5))


def test_the_first_guess_is_ones_own():
    bound = Bound()
    Reconstructor(bound, restarted_jfb(1, 1), start=lambda y, physics: 7 * y)(Y, PHYSICS)
    assert torch.equal(bound.seen[0], 7 * Y)


def test_the_solver_is_told_the_loss_where_the_truth_is_known():
    told = []

    def solver(T, x0, loss=None, /):
        told.append(None if loss is None else float(loss(torch.zeros_like(x0))))
        return deq(1e-6)(T, x0)

    model = Reconstructor(Iteration(), solver, loss=lambda truth: lambda x: (x - truth).square().sum())
    model(Y, PHYSICS)
    model(Y, PHYSICS, truth=Y)
    Reconstructor(Iteration(), solver)(Y, PHYSICS, truth=Y)
    assert told == [None, 5.0, None]


def test_certified_gradients_and_monitors_work_through_it():
    operator, log, truth = Iteration(), [], torch.ones_like(Y)

    def mse(truth):
        return SmoothLoss(lambda x: (x - truth).square().mean(), 2 / truth.numel())

    model = Reconstructor(
        operator, GradientMonitor(certified(1e-3), lambda step, found: log.append(found), 1), loss=mse
    )
    x = model(Y, PHYSICS, truth=truth)
    mse(truth)(x).backward()
    star = Y / (1 - 0.5)
    exact = ((star - truth) * star / (1 - 0.5)).sum()
    assert operator.theta.grad is not None
    assert abs(operator.theta.grad - exact) <= 1e-3 * abs(exact)
    assert len(log) == 1


@pytest.mark.misuse(
    "a physics without A_adjoint in a Reconstructor", "refused: has no A_adjoint to make the first guess with"
)
def test_a_physics_without_an_adjoint_needs_a_start():
    model = Reconstructor(Iteration(), deq(1e-6))
    for physics in (SimpleNamespace(), None, SimpleNamespace(A_adjoint=3)):
        with pytest.raises(TypeError, match="has no A_adjoint to make the first guess with: give one"):
            model(Y, physics)
    with pytest.raises(TypeError, match=r"physics.A_adjoint returned a list"):
        model(Y, SimpleNamespace(A_adjoint=lambda y: [y]))
    with pytest.raises(TypeError, match="start returned a tuple"):
        Reconstructor(Iteration(), deq(1e-6), start=lambda y, physics: (y, y))(Y, PHYSICS)  # pyright: ignore


@pytest.mark.misuse(
    "Reconstructor(operator, deq) without its tolerance", "refused: solver is deq, which makes one: call it"
)
def test_what_only_makes_a_part_is_refused():
    for solver in (deq, phantom):
        with pytest.raises(TypeError, match="which makes one: call it"):
            Reconstructor(Iteration(), solver)  # pyright: ignore
    with pytest.raises(TypeError, match="solver is deq, which makes one: call it"):
        GradientMonitor(deq, lambda step, found: None)  # pyright: ignore
    with pytest.raises(TypeError, match="solver is GradientMonitor"):
        Reconstructor(Iteration(), GradientMonitor)  # pyright: ignore
    with pytest.raises(TypeError, match=r"operator must be a map .* not the class Iteration"):
        Reconstructor(Iteration, deq(1e-6))  # pyright: ignore
    with pytest.raises(TypeError, match="solver must be a solver such as deq"):
        Reconstructor(Iteration(), None)  # pyright: ignore
    with pytest.raises(TypeError, match="loss must be a function"):
        Reconstructor(Iteration(), deq(1e-6), loss=Y)  # pyright: ignore
