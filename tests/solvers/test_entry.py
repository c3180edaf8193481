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
    FixedSteps,
    HasDerivativeBounds,
    Picard,
    Solver,
    SupportsSelect,
    TruncatedBackprop,
    certified,
    checkpointed,
    deq,
    implicit,
    jfb,
    neumann,
    phantom,
    restarted_jfb,
    unrolled,
)

# Not public: the guard around every map that a solver is given.
from solvers._core.map_guard import GuardedMap
from solvers.conformance import Contraction, quadratic, relative_error, start
from tests.helpers.known_maps import Known, matrix
from tests.helpers.maps import DEEP, PLAIN, C, Pure, by_label
from tests.helpers.tensors import F64

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
            "not a tuple: stack or flatten",
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
    with pytest.raises(ValueError, match="forward_solver is the class FixedSteps"):
        Solver("mine", FixedSteps, TruncatedBackprop(3))  # pyright: ignore
    with pytest.raises(ValueError, match="backward_mode is the class TruncatedBackprop"):
        Solver("mine", FixedSteps(3), TruncatedBackprop)  # pyright: ignore
    with pytest.raises(TypeError, match="a forward solver must return a FixedPoint"):
        Solver("mine", lambda T, x0: x0, TruncatedBackprop(3))(Contraction(), start(6))  # pyright: ignore


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


@by_label([*DEEP, jfb(3), certified(0.1)])
@pytest.mark.parametrize("make", [Pure, Slope])
@pytest.mark.misuse("all parameters are frozen", "right: a plain tensor, without a tape")
def test_a_frozen_map_leaves_no_tape(solver: Solver, make):
    T = make().requires_grad_(False)
    assert not solver(T, start(2, 6)).x.requires_grad
    assert solver(make(), start(2, 6)).x.requires_grad


def test_a_guard_can_do_what_its_map_can():
    class Picks(Pure):
        def select(self, index):
            return self

    for T, divisible, regular in ((Pure(), False, False), (Picks(), True, False), (Known(), False, True)):
        guard = GuardedMap(T, PLAIN)
        assert isinstance(guard, SupportsSelect) == divisible
        assert isinstance(guard, HasDerivativeBounds) == regular
        assert list(guard.parameters()) == list(T.parameters())  # pyright: ignore
        again = pickle.loads(pickle.dumps(GuardedMap(Contraction(), PLAIN)))
        assert torch.equal(again(start(2, 6)), Contraction()(start(2, 6)))
        assert isinstance(copy.deepcopy(guard), SupportsSelect) == divisible
    with pytest.raises(ValueError, match="shape"):
        GuardedMap(Picks(), PLAIN).select(torch.arange(1))(torch.zeros(2, 6, dtype=F64))[0] @ GuardedMap(  # pyright: ignore
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
    [
        unrolled(30),
        deq(1e-10),
        implicit(Anderson(1e-10), GMRES(1e-10)),
        implicit(Picard(1e-10), FixedSteps(9)),
    ]
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
