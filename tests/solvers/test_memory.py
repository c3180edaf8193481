"""Maps that keep memory: in-place ones, and buffers that are returned again."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from solvers import (
    FixedSteps,
    GradientMonitor,
    Solver,
    checkpointed,
    deq,
    implicit,
    jfb,
    neumann,
    phantom,
    unrolled,
)

# Not public: the number of applications that are probed decides when a late change is noticed.
from solvers._core.map_guard import PROBED
from solvers.conformance import CountedMap, quadratic, relative_error, start
from tests.helpers.maps import (
    DEEP,
    BehindTheBack,
    Buffers,
    C,
    Clamped,
    Clamps,
    InPlace,
    NumPy,
    Pure,
    Slices,
    by_label,
)


def found(solver: Solver, T: nn.Module) -> tuple[Tensor, Tensor]:
    x0 = start(2, 6)
    before = x0.clone()
    solution = solver(T, x0)
    value = solution.x.detach().clone()
    quadratic(solution.x).backward()
    assert torch.equal(x0, before), "the start was changed"
    (theta,) = T.parameters()
    assert theta.grad is not None
    return value, theta.grad


MEMORY = [
    pytest.param(
        InPlace,
        marks=pytest.mark.misuse(
            "T writes into its argument and returns it", "right: the equilibrium; T is given copies"
        ),
    ),
    BehindTheBack,
    pytest.param(
        lambda: Buffers(1),
        marks=pytest.mark.misuse(
            "T returns one buffer again and again, without a tape",
            "right: the equilibrium; its value is copied",
        ),
    ),
    lambda: Buffers(2),
    lambda: Buffers(3),
    lambda: Buffers(1, view=True),
    lambda: Buffers(2, view=True),
    NumPy,
    Slices,
]


@pytest.mark.parametrize("make", MEMORY)
@by_label(DEEP)
def test_a_map_that_keeps_memory_has_the_equilibrium_of_one_that_does_not(make, solver: Solver):
    keeps_memory(make, solver, torch.no_grad)


@pytest.mark.parametrize("make", [InPlace, Clamps, lambda: Buffers(1), lambda: Buffers(2, view=True), NumPy])
def test_nor_in_inference_mode_where_torch_counts_no_changes(make):
    keeps_memory(make, deq(1e-11), torch.inference_mode)


def keeps_memory(make, solver: Solver, mode):
    x0 = start(2, 6)
    before = x0.clone()
    with mode():
        right, value = solver(Clamped() if make is Clamps else Pure(), x0), solver(make(), x0)
    assert torch.equal(x0, before), "the start was changed"
    assert relative_error(value.x, right.x) < 1e-10
    assert value.applications == right.applications
    assert value.converged == right.converged


@by_label(DEEP)
@pytest.mark.misuse(
    "the first layer of T works in place, as nn.ReLU(inplace=True)",
    "right: the gradient, as of a layer that does not",
)
def test_a_first_layer_in_place_has_the_gradient_of_one_that_is_not(solver: Solver):
    (x, g), (right_x, right_g) = found(solver, Clamps()), found(solver, Clamped())
    assert torch.equal(x, right_x)
    assert relative_error(g, right_g) < 1e-12


@by_label([unrolled(5), checkpointed(5), phantom(0, 3), neumann(0, 3), deq(1e-6)])
def test_applications_are_counted_though_one_was_made_again(solver: Solver):
    counted = CountedMap(Clamps())
    solution = solver(counted, start(2, 6))
    quadratic(solution.x).backward()
    assert solution.applications == counted.applications


@by_label([unrolled(9), checkpointed(9), phantom(9, 9), deq(1e-6)])
@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.misuse(
    "T writes its value into a buffer of its own, with a tape",
    "refused: T writes its value into memory that it has returned",
)
def test_one_buffer_on_a_tape_is_refused(solver: Solver, n: int):
    with pytest.raises(ValueError, match=r"memory that it has returned before"):
        solver(Buffers(n), start(2, 6))


def test_memory_that_comes_back_late_is_refused_and_not_taken_for_the_equilibrium():
    with torch.no_grad(), pytest.raises(ValueError, match="memory that it has returned before"):
        deq(1e-10)(Buffers(PROBED + 2), start(2, 6))


def test_a_map_that_begins_to_change_its_argument_is_refused():
    made = []

    def T(x: Tensor) -> Tensor:
        made.append(1)
        return Pure()(x) if len(made) < 7 else x.mul_(0.5)

    with torch.no_grad(), pytest.raises(ValueError, match="T changes its argument"):
        jfb(20)(T, start(2, 6))


@by_label(DEEP)
def test_a_constant_map_and_the_identity_are_maps_as_well(solver: Solver):
    c = C.expand(2, 6).clone().requires_grad_()
    y = torch.tanh(c)
    x = solver(lambda x: y, start(2, 6)).x
    assert torch.equal(x, y)
    (g,) = torch.autograd.grad(x.sum(), c)
    torch.testing.assert_close(g, 1 - y.detach() ** 2)
    x0 = start(2, 6)
    with torch.no_grad():
        same = implicit(FixedSteps(3), FixedSteps(0))(lambda x: x, x0).x
    assert torch.equal(same, x0)
    same.add_(1)
    assert torch.equal(x0, start(2, 6))


def test_a_monitor_of_a_map_in_place_is_right_or_says_that_it_knows_nothing():
    log = []
    for make in (Clamps, Clamped):
        solver = GradientMonitor(neumann(0, 4), lambda step, found: log.append(found), smoothness=1.0)
        quadratic(solver(make(), start(2, 6)).x).backward()
    assert log[0].error in (pytest.approx(log[1].error), float("inf"))
