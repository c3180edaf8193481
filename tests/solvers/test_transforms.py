"""Autocast and transforms around a solve."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from solvers import (
    GMRES,
    Anderson,
    Picard,
    SharedInverse,
    Solver,
    TruncatedBackprop,
    checkpointed,
    deq,
    implicit,
    jfb,
    neumann,
    phantom,
    restarted_jfb,
    unrolled,
)
from solvers.conformance import quadratic, relative_error, start
from tests.helpers.maps import C, Pure, W, by_label
from tests.helpers.tensors import F64


@by_label(
    [
        unrolled(4),
        deq(1e-3),
        implicit(Anderson(1e-3), GMRES(1e-3)),
        implicit(Anderson(1e-3, shared=True), SharedInverse(3)),
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

    with pytest.raises(TypeError, match=r"returned torch\.bfloat16"):
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
        with pytest.raises(RuntimeError, match=r"torch\.func"):
            call()
    with torch.autograd.forward_ad.dual_level(), pytest.raises(RuntimeError, match=r"torch\.func"):
        f(torch.autograd.forward_ad.make_dual(C, C))


def test_a_reach_that_no_transform_sees_through_is_named():
    f = by_transform(Solver("mine", Picard(1e-3), TruncatedBackprop(2)))
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
