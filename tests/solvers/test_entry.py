"""What a solver is given is looked at once, and T at every application: shape, dtype, device, memory, tape."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from solvers import (
    GMRES,
    Anderson,
    Divisible,
    Iterate,
    Monitor,
    Nesterov,
    Picard,
    Regular,
    Shared,
    Solver,
    Tracked,
    checkpointed,
    deq,
    implicit,
    jfb,
    neumann,
    phantom,
    restarted_jfb,
    unrolled,
)
from solvers._entry import PROBED, Guard, Precision
from solvers.conformance import Contraction, Counted, quadratic, relative_error, start

from .conftest import F64, Known, matrix

W, C = matrix(6, 0.6, 0), matrix(6, 1.0, 1)[0]
PLAIN = Precision("cpu")
DEEP = [
    implicit(Picard(1e-11, 3000), GMRES(1e-11)),
    implicit(Nesterov(1e-11, 3000), GMRES(1e-11)),
    deq(1e-11),
    neumann(100, 100),
    unrolled(100),
    checkpointed(100),
    phantom(100, 100),
    restarted_jfb(50, 2),
]


def by_label(solvers):
    return pytest.mark.parametrize("solver", solvers, ids=lambda s: s.label)


class Pure(nn.Module):
    """``x -> tanh(0.6 Wx + θ)``."""

    def __init__(self) -> None:
        super().__init__()
        self.theta = nn.Parameter(C.clone())

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(x @ W.T + self.theta)


class InPlace(Pure):
    """Writes into its argument, and returns it."""

    def forward(self, x: Tensor) -> Tensor:
        return x.copy_(super().forward(x))


class Clamps(Pure):
    """A first layer in place, as ``nn.ReLU(inplace=True)`` is."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.clamp_(min=-0.3))


class Clamped(Pure):
    """The same, as it is meant."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.clamp(min=-0.3))


class BehindTheBack(Pure):
    """Changes its argument so that torch does not count it."""

    def forward(self, x: Tensor) -> Tensor:
        y = super().forward(x)
        x.data.zero_()
        return y


class Buffers(Pure):
    """Returns ``n`` buffers in turn, as they are or as views."""

    def __init__(self, n: int, view: bool = False) -> None:
        super().__init__()
        shape = (12,) if view else (2, 6)
        self.memory, self.made = [torch.zeros(shape, dtype=F64) for _ in range(n)], 0

    def forward(self, x: Tensor) -> Tensor:
        own = self.memory[self.made % len(self.memory)]
        self.made += 1
        own.copy_(super().forward(x).view_as(own))
        return own if own.ndim == 2 else own.view(2, 6)


class NumPy(Pure):
    """Works in NumPy, and wraps one array again at every application."""

    def __init__(self) -> None:
        super().__init__()
        self.memory = np.zeros((2, 6))

    def forward(self, x: Tensor) -> Tensor:
        self.memory[:] = super().forward(x).numpy()
        return torch.from_numpy(self.memory)


class Slices(Pure):
    """Keeps its trajectory in one tensor, and returns slices of it."""

    def __init__(self) -> None:
        super().__init__()
        self.trajectory, self.made = torch.zeros(5000, 2, 6, dtype=F64), 0

    def forward(self, x: Tensor) -> Tensor:
        own = self.trajectory[self.made % 2]
        self.made += 1
        return own.copy_(super().forward(x))


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
    counted = Counted(Clamps())
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
        same = implicit(Iterate(3), Iterate(0))(lambda x: x, x0).x
    assert torch.equal(same, x0)
    same.add_(1)
    assert torch.equal(x0, start(2, 6))


WRONG = [
    pytest.param(
        lambda x: x[:, None],
        ValueError,
        r"given \(2, 6\) and returned \(2, 1, 6\)",
        marks=pytest.mark.misuse("T returns another shape", "refused: T must keep the shape of x"),
    ),
    (lambda x: x[:1], ValueError, r"returned \(1, 6\)"),
    (lambda x: x.sum(), ValueError, r"returned \(\)"),
    pytest.param(
        lambda x: x.float(),
        TypeError,
        r"given torch.float64 and returned torch.float32",
        marks=pytest.mark.misuse("T returns another dtype", "refused: T must keep the dtype of x"),
    ),
    (lambda x: x + 0j, TypeError, r"complex128"),
    pytest.param(
        lambda x: x.to("meta"),
        ValueError,
        "returned meta",
        marks=pytest.mark.misuse(
            "T returns its value on another device", "refused: T must keep the device of x"
        ),
    ),
    pytest.param(
        lambda x: (x, x),
        TypeError,
        "returned a tuple",
        marks=pytest.mark.misuse(
            "T returns a tuple, None or an array", "refused: T must return a Tensor like its argument"
        ),
    ),
    (lambda x: None, TypeError, "returned None"),
    (lambda x: x.detach().numpy(), TypeError, "returned a ndarray"),
    (lambda x: x.to_sparse(), TypeError, "layout"),
]


@pytest.mark.parametrize(("T", "error", "words"), WRONG)
@by_label([unrolled(3), jfb(3), checkpointed(3), deq(1e-3), implicit(Picard(), GMRES())])
def test_what_cannot_be_the_next_point_is_refused_at_once(T, error, words, solver: Solver):
    made = []

    def counted(x: Tensor) -> Tensor:
        made.append(1)
        return T(x)

    with pytest.raises(error, match=words):
        solver(counted, start(2, 6))
    assert len(made) == 1


def test_what_changes_later_is_refused_then():
    made = []

    def T(x: Tensor) -> Tensor:
        made.append(1)
        return 0.5 * x if len(made) < 8 else x[:1]

    with pytest.raises(ValueError, match="shape"):
        unrolled(20)(T, start(2, 6))
    assert len(made) == 8


@pytest.mark.parametrize(
    ("x0", "words"),
    [
        pytest.param(
            (start(6), start(6)),
            "not a tuple: states of several parts",
            marks=pytest.mark.misuse("x0 is a tuple of states", "refused: x0 must be one Tensor"),
        ),
        (np.zeros(6), "not a ndarray"),
        (None, "not None"),
        (1.0, "not a float"),
        pytest.param(
            torch.zeros(6, dtype=torch.int64),
            "dtype torch.int64, which has no derivatives",
            marks=pytest.mark.misuse("x0 is of integers", "refused: x0 has the dtype torch.int64"),
        ),
        (torch.zeros(6, dtype=torch.bool), "torch.bool"),
        (torch.eye(6).to_sparse(), "to_dense"),
    ],
)
def test_a_start_that_is_none_is_refused(x0, words):
    for solver in (unrolled(3), deq(1e-3)):
        with pytest.raises(TypeError, match=words):
            solver(lambda x: x, x0)


@pytest.mark.misuse("T is a class, not an instance", "refused: T is the class Contraction, not a map")
def test_a_map_that_is_none_is_refused():
    for T, words in ((Contraction, "T is the class Contraction"), (3, "T must be a map"), (None, "not None")):
        with pytest.raises(TypeError, match=words):
            deq(1e-3)(T, start(6))  # pyright: ignore
    with pytest.raises(TypeError, match="loss must be a function"):
        deq(1e-3)(Contraction(), start(6), torch.tensor(1.0))  # pyright: ignore


@pytest.mark.misuse(
    "a class in place of a part: implicit(Anderson, GMRES)",
    "refused: forward is the class Anderson: give an instance",
)
def test_classes_in_place_of_parts_are_refused():
    with pytest.raises(
        ValueError, match=r"forward is the class Anderson: give an instance of it, Anderson\(…\)"
    ):
        implicit(Anderson, GMRES)  # pyright: ignore
    with pytest.raises(ValueError, match="adjoint is the class GMRES"):
        implicit(Anderson(), GMRES)  # pyright: ignore
    with pytest.raises(ValueError, match="reach is the class Iterate"):
        Solver("mine", Iterate, Tracked(3))  # pyright: ignore
    with pytest.raises(ValueError, match="pull is the class Tracked"):
        Solver("mine", Iterate(3), Tracked)  # pyright: ignore
    with pytest.raises(TypeError, match="a reach must return an Equilibrium"):
        Solver("mine", lambda T, x0: x0, Tracked(3))(Contraction(), start(6))  # pyright: ignore


class Slope(nn.Module):
    """A gradient step as deepinv's ``Potential`` makes it: gradients are enabled inside, and the argument marked."""

    def __init__(self) -> None:
        super().__init__()
        self.A = nn.Parameter(0.3 * matrix(6, 1.0, 2))

    def forward(self, x: Tensor) -> Tensor:
        with torch.enable_grad():
            at = x.requires_grad_()
            g = torch.autograd.grad(torch.cosh(at @ self.A.T).log().sum(), at, create_graph=True)[0]
        return x - 0.4 * (x - C + 0.5 * g)


@by_label([*DEEP, jfb(20)])
@pytest.mark.misuse(
    "T enables gradients inside, as deepinv's Potential.grad does",
    "right: nothing is unrolled, and memory does not grow",
)
def test_a_map_that_enables_gradients_is_not_unrolled(solver: Solver):
    T, seen = Slope(), []

    def watched(x: Tensor) -> Tensor:
        seen.append((x.requires_grad, x.grad_fn, torch.is_grad_enabled()))
        return T(x)

    x0 = start(2, 6)
    x = solver(watched, x0).x
    assert all(not marked and node is None for marked, node, taped in seen if not taped)
    assert not x0.requires_grad
    quadratic(x).backward()
    with torch.no_grad():
        assert not solver(T, x0).x.requires_grad


def test_gradients_through_such_a_map_are_those_of_one_that_does_not_mark():
    T, x0 = Slope(), start(2, 6)

    def gradient(solver, T):
        return torch.autograd.grad(quadratic(solver(T, x0).x), T.A)[0]

    right = gradient(unrolled(200), T)
    for solver in (
        checkpointed(200),
        deq(1e-12),
        implicit(Anderson(1e-12), GMRES(1e-12)),
        restarted_jfb(100, 2),
    ):
        assert relative_error(gradient(solver, T), right) < 1e-9, solver.label


@by_label([*DEEP, jfb(3)])
@pytest.mark.parametrize("make", [Pure, Slope])
@pytest.mark.misuse("all parameters are frozen", "right: a plain tensor, without a tape")
def test_a_frozen_map_leaves_no_tape(solver: Solver, make):
    T = make().requires_grad_(False)
    assert not solver(T, start(2, 6)).x.requires_grad
    assert solver(make(), start(2, 6)).x.requires_grad


def test_a_guard_can_do_what_its_map_can():
    class Picks(Pure):
        def pick(self, index):
            return self

    for T, divisible, regular in ((Pure(), False, False), (Picks(), True, False), (Known(), False, True)):
        guard = Guard(T, PLAIN)
        assert isinstance(guard, Divisible) == divisible
        assert isinstance(guard, Regular) == regular
        assert list(guard.parameters()) == list(T.parameters())  # pyright: ignore
        again = pickle.loads(pickle.dumps(Guard(Contraction(), PLAIN)))
        assert torch.equal(again(start(2, 6)), Contraction()(start(2, 6)))
        assert isinstance(copy.deepcopy(guard), Divisible) == divisible
    with pytest.raises(ValueError, match="shape"):
        Guard(Picks(), PLAIN).pick(torch.arange(1))(torch.zeros(2, 6, dtype=F64))[0] @ Guard(  # pyright: ignore
            lambda x: x[0], PLAIN
        )(start(2, 6))


@by_label([unrolled(30), deq(1e-10), implicit(Anderson(1e-10), GMRES(1e-10)), phantom(20, 20)])
@pytest.mark.parametrize(
    "x0",
    [
        start(2, 12)[:, ::2],
        start(6, 2).T,
        start(6).expand(2, 6),
        nn.Parameter(start(2, 6)),
        start(2, 6).requires_grad_() * 1,
    ],
    ids=["strided", "transposed", "expanded", "parameter", "on a tape"],
)
@pytest.mark.misuse(
    "x0 requires a gradient, is a Parameter, or no contiguous memory",
    "right: its values are the start, and no gradient",
)
def test_any_layout_of_a_start_will_do(solver: Solver, x0: Tensor):
    T, before = Pure(), x0.detach().clone()
    x = solver(T, x0).x
    right = solver(T, before).x
    torch.testing.assert_close(x, right, rtol=1e-12, atol=1e-13)
    quadratic(x).backward()
    assert torch.equal(x0, before)
    assert not x0.is_leaf or x0.grad is None


@by_label(
    [unrolled(30), deq(1e-10), implicit(Anderson(1e-10), GMRES(1e-10)), implicit(Picard(1e-10), Iterate(9))]
)
def test_a_number_may_be_a_state(solver: Solver):
    theta = torch.tensor(0.3, dtype=F64, requires_grad=True)
    x = solver(lambda x: torch.cos(theta * x), torch.tensor(0.0, dtype=F64)).x
    assert x.shape == ()
    (g,) = torch.autograd.grad(x, theta)
    y = x.detach()
    s = torch.sin(theta.detach() * y)
    torch.testing.assert_close(g, -y * s / (1 + theta.detach() * s), rtol=1e-5, atol=0)


def test_inference_mode_and_its_tensors():
    T = Pure()
    with torch.inference_mode():
        x0 = start(2, 6)
        assert not deq(1e-6)(T, x0).x.requires_grad
    for solver in (neumann(0, 3), deq(1e-6), unrolled(3)):
        quadratic(solver(T, x0).x).backward()


@by_label(
    [
        unrolled(4),
        deq(1e-3),
        implicit(Anderson(1e-3), GMRES(1e-3)),
        implicit(Anderson(1e-3, shared=True), Shared(3)),
    ]
)
@pytest.mark.misuse(
    "the whole solve under torch.autocast", "right: T in half precision, the state in its own dtype"
)
def test_autocast_is_the_maps_alone(solver: Solver):
    torch.manual_seed(0)
    layer = nn.Linear(8, 8)
    nn.init.orthogonal_(layer.weight, 0.5)
    seen = []

    def T(x: Tensor) -> Tensor:
        y = layer(x)
        seen.append((x.dtype, y.dtype))
        return torch.tanh(y)

    right = torch.autograd.grad(quadratic(solver(T, torch.zeros(2, 8)).x), list(layer.parameters()))
    seen.clear()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        x = solver(T, torch.zeros(2, 8)).x
        loss = quadratic(x)
    assert set(seen) == {(torch.float32, torch.bfloat16)}
    assert x.dtype == torch.float32
    for g, h in zip(
        torch.autograd.grad(loss, list(layer.parameters()), retain_graph=True), right, strict=True
    ):
        assert relative_error(g, h) < 0.05
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss.backward()


def test_autocast_inside_the_map_is_a_change_of_dtype():
    def T(x: Tensor) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return 0.1 * (x @ x.T)

    with pytest.raises(TypeError, match="returned torch.bfloat16"):
        deq(1e-2)(T, torch.ones(2, 2))


def by_transform(solver):
    def value(c: Tensor) -> Tensor:
        return solver(lambda x: torch.tanh(x @ W.T + c), torch.zeros(6, dtype=F64)).x.square().sum()

    return value


@by_label([deq(1e-8), implicit(Picard(), GMRES()), checkpointed(9), neumann(3, 3)])
@pytest.mark.misuse(
    "torch.func (grad, vmap, jacrev, jvp) over an implicit solver",
    "refused: torch.func transforms and forward-mode derivatives do not go through",
)
def test_transforms_are_refused_by_name(solver: Solver):
    f = by_transform(solver)
    calls = [
        lambda: torch.func.grad(f)(C),
        lambda: torch.func.jacrev(f)(C),
        lambda: torch.func.jvp(f, (C,), (C,)),
        lambda: torch.func.vmap(f)(torch.stack([C, C])),
        lambda: torch.func.hessian(f)(C),
    ]
    for call in calls:
        with pytest.raises(RuntimeError, match="torch.func"):
            call()
    with torch.autograd.forward_ad.dual_level(), pytest.raises(RuntimeError, match="torch.func"):
        f(torch.autograd.forward_ad.make_dual(C, C))


def test_a_reach_that_no_transform_sees_through_is_named():
    f = by_transform(Solver("mine", Picard(1e-3), Tracked(2)))
    with pytest.raises(RuntimeError, match=r"do not go through mine"):
        torch.func.vmap(f)(torch.stack([C, C]))


@by_label([unrolled(9), phantom(5, 4), jfb(5), restarted_jfb(3, 2)])
def test_transforms_of_recorded_layers_are_their_gradients(solver: Solver):
    f, c = by_transform(solver), C.clone().requires_grad_()
    (right,) = torch.autograd.grad(f(c), c)
    torch.testing.assert_close(torch.func.grad(f)(C), right)
    torch.testing.assert_close(torch.func.vmap(torch.func.grad(f))(torch.stack([C, C]))[1], right)
    # Forward: the point that was reached is a constant, as it is backward.
    torch.testing.assert_close(torch.func.jvp(f, (C,), (C,))[1], right @ C)
    with torch.autograd.forward_ad.dual_level():
        dual = f(torch.autograd.forward_ad.make_dual(C, C))
        torch.testing.assert_close(torch.autograd.forward_ad.unpack_dual(dual).tangent, right @ C)


@pytest.mark.misuse(
    "torch.autograd.grad(…, is_grads_batched=True) through an implicit gradient",
    "refused: an implicit gradient takes one cotangent at a time",
)
def test_batched_cotangents_are_refused_by_name():
    T = Pure()
    x = deq(1e-6)(T, start(6)).x
    with pytest.raises(RuntimeError, match="one cotangent at a time"):
        torch.autograd.grad(x, T.theta, torch.eye(6, dtype=F64), is_grads_batched=True)


def test_a_monitor_knows_the_points_of_a_map_in_place():
    log = []
    for make in (Clamps, Clamped):
        solver = Monitor(neumann(0, 4), lambda step, found: log.append(found), smoothness=1.0)
        quadratic(solver(make(), start(2, 6)).x).backward()
    assert log[0].error == pytest.approx(log[1].error)
