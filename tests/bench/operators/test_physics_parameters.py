"""Derivatives in the parameters of the physics are whole."""

from __future__ import annotations

import pytest
import torch
from deepinv.physics import (
    Blur,
    BlurFFT,
    DecomposablePhysics,
    Denoising,
    Inpainting,
    LinearPhysics,
)

from bench.measurement.hypergradient import reference_gradient
from bench.operators import DataFidelity, ForwardBackward, data_fidelity
from bench.operators.plug_and_play import PlugAndPlay, dncnn
from bench.penalties import Penalty
from solvers import Picard, checkpointed, deq, jfb, unrolled
from tests.helpers.physics import KERNEL, TRUTH, N, Y, draw, operator
from tests.helpers.tensors import F64


def loss(x):
    return 0.5 * (x - TRUTH).square().mean()


def gained(gain):
    physics = Denoising()
    physics.mask = gain
    return physics


def singular(values):
    def turn(x):
        return x.roll(1, -1)

    def back(x):
        return x.roll(-1, -1)

    return DecomposablePhysics(U=turn, U_adjoint=back, V=back, V_adjoint=turn, mask=values)


def spectrum(values):
    physics = BlurFFT((1, N, N), KERNEL)
    physics.mask = values
    return physics


def closed(gain):
    return LinearPhysics(
        A=lambda x, **_: gain * x.roll(1, -1), A_adjoint=lambda y, **_: (gain * y).roll(-1, -1)
    )


def composed(gain):
    return Blur(KERNEL, padding="circular") * closed(gain)


LEARNED = {
    "the kernel of BlurFFT": (KERNEL, lambda k: BlurFFT((1, N, N), k)),
    "the spectrum of BlurFFT": (BlurFFT((1, N, N), KERNEL).mask.clone(), spectrum),
    "the kernel of Blur": (KERNEL, lambda k: Blur(k, padding="circular")),
    "the kernel of Blur, replicated": (KERNEL, lambda k: Blur(k, padding="replicate")),
    "the mask of Inpainting": (draw(3, 1, N, N), lambda m: Inpainting((1, N, N), mask=m)),
    "a mask a sample": (draw(3, 2, 1, N, N), lambda m: Inpainting((1, N, N), mask=m)),
    "the gain of Denoising": (draw(3, 1), gained),
    "singular values": (draw(3, 1, 1, N, N), singular),
    "a number in a closure": (draw(3, 1), closed),
    "a number in a composition": (draw(3, 1), composed),
}


def checked(value, make, T, differences=2):
    """Relative gap between the oracle's derivative along three directions, and differences of re-solved problems."""
    leaf = value.clone().requires_grad_()
    gradient = reference_gradient(T(make(leaf)), [leaf], Y, loss).gradient.view_as(value)
    solve = Picard(1e-14, 1000)

    def solved(at):
        with torch.no_grad():
            return float(loss(solve(T(make(at)), Y).x))

    worst = 0.0
    for seed in range(differences):
        direction = draw(10 + seed, *value.shape) - 0.5
        direction /= direction.norm()  # so that no coefficient crosses a kink
        found = (solved(value + 1e-5 * direction) - solved(value - 1e-5 * direction)) / 2e-5
        worst = max(worst, abs(found - float((gradient * direction).sum())) / abs(found))
    return worst


@pytest.mark.misuse(
    "a parameter in the physics (a kernel, a mask, a gain)",
    "right: the whole derivative, as differences find it",
)
@pytest.mark.parametrize("name", LEARNED)
def test_the_derivative_in_what_the_physics_is_made_of_is_whole(name):
    value, make = LEARNED[name]
    fixed = operator()
    assert checked(value, make, lambda physics: fixed.bind(Y, physics)) < 1e-5


def test_so_it_is_with_a_denoiser():
    network = dncnn().operator((1, N, N), 1.0, F64, "cpu")
    assert isinstance(network, PlugAndPlay)
    leaf, at, u = KERNEL.clone().requires_grad_(), draw(5, *Y.shape).requires_grad_(), draw(6, *Y.shape)
    physics = BlurFFT((1, N, N), leaf)
    z = at + network.log_step.exp() * physics.A_adjoint(Y - physics.A(at))
    expected = torch.autograd.grad(
        network.denoiser(z, network.log_sigma.exp()), [at, leaf], u, retain_graph=True
    )
    for found, right in zip(
        torch.autograd.grad(network.bind(Y, physics)(at), [at, leaf], u), expected, strict=True
    ):
        torch.testing.assert_close(found, right, rtol=0, atol=1e-12)


def test_so_it_is_for_one_kernel_of_three_colours():
    y = draw(4, 2, 3, N, N)
    penalty = Penalty("h", 0.05, 0.3, "haar", 2, 0.02)
    fixed = ForwardBackward(penalty.build((3, N, N), F64), 1.0)
    leaf = KERNEL.clone().requires_grad_()
    at = draw(5, 2, 3, N, N).requires_grad_()
    T, physics = fixed.bind(y, BlurFFT((3, N, N), leaf)), BlurFFT((3, N, N), leaf)
    plain = fixed.prior.prox(at + fixed.step() * physics.A_adjoint(y - physics.A(at)), fixed.step())
    u = draw(6, *y.shape)
    found, expected = (torch.autograd.grad(value, [at, leaf], u) for value in (T(at), plain))
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


@pytest.mark.misuse(
    "measurements that require a gradient", "right: the derivative in y, as differences find it"
)
@pytest.mark.parametrize("make", [Denoising, lambda: BlurFFT((1, N, N), KERNEL), lambda: closed(0.9)])
def test_the_derivative_in_the_measurements_is_whole(make):
    fixed, physics = operator(), make()

    def T(y):
        return fixed.bind(y, physics)

    assert checked(Y, lambda y: y, T) < 1e-5


@pytest.mark.misuse("the map is bound under no_grad", "right: the derivative in the physics is the same")
def test_where_it_was_bound_does_not_matter():
    leaf = KERNEL.clone().requires_grad_()
    physics = BlurFFT((1, N, N), leaf)
    with torch.no_grad():
        T = operator().bind(Y, physics)
    u, at = draw(7, *Y.shape), draw(8, *Y.shape)
    (found,) = torch.autograd.grad(T(at), leaf, u)
    (expected,) = torch.autograd.grad(operator().bind(Y, BlurFFT((1, N, N), leaf))(at), leaf, u)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-14)


@pytest.mark.misuse(
    "one bound map in several backward passes, with a learned kernel",
    "right: the same gradient in each of them",
)
@pytest.mark.parametrize(
    "solver", [unrolled(30), jfb(30), checkpointed(30), deq(1e-8)], ids=lambda s: s.label
)
def test_a_bound_map_serves_again(solver):
    leaf = KERNEL.clone().requires_grad_()
    T = operator().bind(Y, BlurFFT((1, N, N), leaf))
    found = []
    for _ in range(2):
        leaf.grad = None
        loss(solver(T, Y).x).backward()
        assert leaf.grad is not None
        found.append(leaf.grad)
    assert found[0].norm() > 0
    torch.testing.assert_close(*found, rtol=0, atol=0)


def test_derivatives_under_transforms_are_those_of_autograd():
    fixed, u, at = operator(), draw(7, *Y.shape), draw(8, *Y.shape)

    def value(kernel):
        return (u * fixed(at, Y, BlurFFT((1, N, N), kernel))).sum()

    leaf = KERNEL.clone().requires_grad_()
    (expected,) = torch.autograd.grad(value(leaf), leaf)
    torch.testing.assert_close(torch.func.grad(value)(KERNEL), expected, rtol=0, atol=1e-13)
    e = draw(9, *KERNEL.shape)
    slope = torch.func.jvp(value, (KERNEL,), (e,))[1]
    torch.testing.assert_close(slope, (expected * e).sum(), rtol=0, atol=1e-12)


def test_values_do_not_depend_on_who_learns():
    fixed, at = operator(), draw(8, *Y.shape)
    for name, (value, make) in LEARNED.items():
        plain, learned = (fixed.bind(Y, make(v))(at) for v in (value, value.clone().requires_grad_()))
        torch.testing.assert_close(learned, plain, rtol=0, atol=1e-14, msg=name)


@pytest.mark.misuse("a mask or a kernel for each sample", "right: a part of a batch takes its own")
@pytest.mark.parametrize("make", [lambda: Inpainting((1, N, N), mask=draw(3, 2, 1, N, N))])
def test_a_sample_is_picked_with_its_own_mask(make):
    T = operator().bind(Y, make())
    at = draw(8, *Y.shape)
    for i in (0, 1):
        alone = T.select(torch.tensor([i]))(at[i : i + 1])
        torch.testing.assert_close(alone, T(at)[i : i + 1], rtol=0, atol=1e-14)


class Untaped(Blur):
    """Its methods work without gradients, as those of some projectors do."""

    @torch.no_grad()
    def A(self, x, **kwargs):
        return super().A(x, **kwargs)

    @torch.no_grad()
    def A_adjoint(self, y, **kwargs):
        return super().A_adjoint(y, **kwargs)


@pytest.mark.misuse("a physics that works under no_grad", "right: AᵀA is taken for its own derivative")
def test_a_physics_without_a_tape_has_its_derivative_in_x():
    at, u = draw(8, *Y.shape).requires_grad_(), draw(7, *Y.shape)
    found, expected = (
        torch.autograd.grad(operator().bind(Y, kind(KERNEL, padding="circular"))(at), at, u)[0]
        for kind in (Untaped, Blur)
    )
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-13)


def test_a_data_term_says_whether_it_is_learned():
    assert not data_fidelity(Y, Denoising()).requires_grad()
    assert data_fidelity(Y.clone().requires_grad_(), Denoising()).requires_grad()
    found = data_fidelity(Y, BlurFFT((1, N, N), KERNEL.clone().requires_grad_()))
    assert isinstance(found, DataFidelity)
    assert found.requires_grad()
