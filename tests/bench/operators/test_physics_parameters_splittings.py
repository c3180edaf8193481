"""Derivatives in the physics are whole at the equilibrium of every operator, or refused in one line; float64."""

from __future__ import annotations

import functools

import pytest
import torch
from deepinv.physics import Blur, BlurFFT, Denoising, Inpainting, LinearPhysics
from deepinv.physics.forward import adjoint_function
from torch import nn

from bench.operators import (
    chambolle_pock,
    data_fidelity,
    douglas_rachford,
    forward_backward,
    half_quadratic,
    peaceman_rachford,
    primal_dual,
)
from bench.operators.plug_and_play import dncnn
from bench.penalties import Penalty
from bench.utils.errors import UserError
from solvers import GMRES, Anderson, Reconstructor, SmoothLoss, certified, deq, implicit
from tests.helpers.physics import KERNEL, TRUTH, N, Y, draw
from tests.helpers.tensors import F64

HUBER = Penalty("h", 0.05, 0.3, "haar", 2, 0.02)
UNION = Penalty("u", 0.05, 0.3, levels=1, union=("haar", "db2"))
OPERATORS = {
    "forward–backward": (HUBER, forward_backward()),
    "Douglas–Rachford": (HUBER, douglas_rachford()),
    "Peaceman–Rachford": (HUBER, peaceman_rachford()),
    "half-quadratic": (HUBER, half_quadratic()),
    "Condat–Vũ": (HUBER, primal_dual()),
    "Chambolle–Pock": (HUBER, chambolle_pock()),
    "Peaceman–Rachford on coefficients": (UNION, peaceman_rachford()),
    "Chambolle–Pock on coefficients": (UNION, chambolle_pock()),
    "plug-and-play": (dncnn(), forward_backward()),
    "plug-and-play Douglas–Rachford": (dncnn(), douglas_rachford(gamma=1.0)),
}


def scaled(gain):
    """A denoising ``y = g x``."""
    physics = Denoising()
    physics.mask = gain
    return physics


class Scaled(LinearPhysics):
    """A user's: a blur with a gain, by its own methods."""

    def __init__(self, gain):
        super().__init__()
        self.gain, self.blur = gain, BlurFFT((1, N, N), KERNEL)

    def A(self, x, **_):
        return self.gain * self.blur.A(x)

    def A_adjoint(self, y, **_):
        return self.blur.A_adjoint(self.gain * y)


CLOSED = {
    "a kernel": (KERNEL, functools.partial(BlurFFT, (1, N, N))),
    "a gain": (draw(3, 1), scaled),
    "a mask": (draw(3, 1, N, N), lambda mask: Inpainting((1, N, N), mask=mask)),
}
USERS = {
    "a user's gain": (draw(3, 1), Scaled),
    "a user's kernel": (KERNEL, lambda kernel: Blur(kernel, padding="circular")),
}
LEARNED = CLOSED | USERS
EXACT = Anderson(1e-13, 5000)
SOLVERS = {"implicit": implicit(Anderson(1e-12, 5000), GMRES(1e-12)), "deq": deq(1e-12)}


@functools.cache
def made(operator, learned):
    value, make = LEARNED[learned]
    prior, splitting = OPERATORS[operator]
    return splitting.operator(prior, make(value), (1, N, N), 1.0, F64, "cpu")


def loss(image):
    return 0.5 * (image - TRUTH).square().mean()


def exact_loss(operator, y, physics):
    """The loss of the image of the minimiser."""
    with torch.no_grad():
        T = operator.bind(y, physics)
        return float(loss(T.image(EXACT(T, operator.start(Y)).x)))


def gap(gradient, value, of):
    """Largest relative gap between slopes, along two directions, and differences of exact solves."""
    worst = 0.0
    for seed in (10, 11):
        direction = draw(seed, *value.shape) - 0.5
        step = 1e-6 * direction / direction.norm()  # so small that nothing crosses a kink
        found = of(value + step) - of(value - step)
        worst = max(worst, abs(found - 2 * float((gradient * step).sum())) / abs(found))
    return worst


def has_prox(operator, learned):
    return learned in CLOSED or OPERATORS[operator][1].label in ("forward_backward", "primal_dual")


@pytest.mark.misuse(
    "a parameter in the physics, with any operator", "right: the whole derivative, as differences find it"
)
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("learned", LEARNED)
@pytest.mark.parametrize("operator", OPERATORS)
def test_the_derivative_in_the_physics_is_whole(operator, learned, solver):
    if not has_prox(operator, learned):
        with pytest.raises(UserError, match="choose forward_backward"):
            made(operator, learned)
        return
    value, make = LEARNED[learned]
    fixed, leaf = made(operator, learned), value.clone().requires_grad_()
    T = fixed.bind(Y, make(leaf))
    loss(T.image(SOLVERS[solver](T, fixed.start(Y), None).x)).backward()
    assert gap(leaf.grad, value, lambda at: exact_loss(fixed, Y, make(at))) < 1e-5


@pytest.mark.parametrize("operator", OPERATORS)
def test_the_derivative_in_the_measurements_is_whole(operator):
    fixed, leaf = made(operator, "a kernel"), Y.clone().requires_grad_()
    physics = BlurFFT((1, N, N), KERNEL)
    T = fixed.bind(leaf, physics)
    loss(T.image(SOLVERS["implicit"](T, fixed.start(Y), None).x)).backward()
    assert gap(leaf.grad, Y, lambda y: exact_loss(fixed, y, physics)) < 1e-5


@pytest.mark.parametrize("operator", ["Peaceman–Rachford", "plug-and-play Douglas–Rachford"])
def test_an_image_read_off_with_the_data_term_has_its_own_derivative(operator):
    """``prox_{γf}(z)`` at a fixed z, without an equilibrium."""
    fixed, z, u = made(operator, "a kernel"), draw(8, *Y.shape), draw(7, *Y.shape)

    def read(kernel):
        return (u * fixed.image(z, data_fidelity(Y, BlurFFT((1, N, N), kernel)))).sum()

    leaf = KERNEL.clone().requires_grad_()
    read(leaf).backward()
    assert leaf.grad.norm() > 0
    assert gap(leaf.grad, KERNEL, lambda kernel: float(read(kernel).detach())) < 1e-6


def test_a_reconstructor_reads_it_off_whole():
    fixed, leaf = made("Peaceman–Rachford", "a kernel"), KERNEL.clone().requires_grad_()
    model = Reconstructor(fixed, SOLVERS["implicit"], start=lambda y, physics: Y)
    loss(model(Y, BlurFFT((1, N, N), leaf))).backward()
    assert gap(leaf.grad, KERNEL, lambda k: exact_loss(fixed, Y, BlurFFT((1, N, N), k))) < 1e-5


@pytest.mark.misuse(
    "a certificate, with a parameter in the physics",
    "right, but an estimate, which says which leaf is not covered",
)
@pytest.mark.parametrize("operator", ["forward–backward", "Peaceman–Rachford"])
@pytest.mark.parametrize("learned", CLOSED)
def test_a_certificate_is_an_estimate(operator, learned):
    value, make = LEARNED[learned]
    fixed = made(operator, learned)
    for leaf in (value, value.clone().requires_grad_()):
        T = fixed.bind(Y, make(leaf))
        bound = fixed.image_bound(T.data.spectrum())
        smooth = SmoothLoss(lambda z, T=T: loss(T.image(z)), bound / TRUTH.numel())
        solution = certified(1e-2)(T, fixed.start(Y), smooth)
        smooth(solution.x).backward()
        told = solution.certificates[0]
        assert told.rigorous is not leaf.requires_grad
        if leaf.requires_grad:
            assert f"a leaf of shape {tuple(value.shape)} on the tape of T" in told.why


class Untaped(Scaled):
    @torch.no_grad()
    def A(self, x, **_):
        return super().A(x)

    @torch.no_grad()
    def A_adjoint(self, y, **_):
        return super().A_adjoint(y)


class HalfTaped(Scaled):
    @torch.no_grad()
    def A(self, x, **_):
        return super().A(x)


class Images(Scaled):
    def A(self, x, **_):
        return super().A(x.detach())


def by_autograd(gain):
    """deepinv's adjoint records y alone."""

    def A(x, **_):
        return gain * x.roll(1, -1)

    return LinearPhysics(A=A, A_adjoint=adjoint_function(A, tuple(Y.shape), dtype=F64))


def changed(kernel):
    physics = BlurFFT((1, N, N), kernel)
    with torch.no_grad():
        kernel *= 0.9  # as an optimiser does
    physics.filter = kernel
    return physics


@pytest.mark.misuse(
    "a parameter in a physics that records a part of its work",
    "refused: part of the derivative would be missing",
)
@pytest.mark.parametrize(
    ("make", "value", "said"),
    [
        (by_autograd, draw(3, 1), "on the tape of A of LinearPhysics but not of A_adjoint"),
        (HalfTaped, draw(3, 1), "on the tape of A_adjoint of HalfTaped but not of A"),
        (
            lambda g: Untaped(nn.Parameter(g.detach())),
            draw(3, 1),
            "gain of Untaped requires a gradient, but is not",
        ),
        (Images, draw(3, 1), "Images records its parameters but not the images"),
        (changed, KERNEL.clone(), "the filter of BlurFFT requires a gradient, but was changed"),
    ],
)
def test_a_physics_that_would_drop_a_part_is_refused(make, value, said):
    with pytest.raises(UserError, match=said) as raised:
        data_fidelity(Y, make(value.clone().requires_grad_()))
    assert "\n" not in str(raised.value)
    if make is not changed:
        data_fidelity(Y, Scaled(value))  # as it is where nothing is learned


@pytest.mark.misuse("measurements that require a gradient, in a physics under no_grad", "refused in one line")
def test_measurements_that_the_adjoint_does_not_record_are_refused():
    with pytest.raises(UserError, match="the measurements require a gradient"):
        data_fidelity(Y.clone().requires_grad_(), Untaped(draw(3, 1)))


def test_an_updated_filter_and_a_learned_noise_level_are_taken():
    kernel = KERNEL.clone().requires_grad_()
    physics = BlurFFT((1, N, N), kernel)
    with torch.no_grad():
        kernel *= 0.9
    physics.update(filter=kernel)
    assert data_fidelity(Y, physics).requires_grad()
    untaped = Untaped(draw(3, 1))
    untaped.noise_model = nn.Linear(1, 1)
    data_fidelity(Y, untaped)


def test_a_physics_binds_in_inference_mode():
    with torch.inference_mode():
        data_fidelity(Y.clone(), Scaled(draw(3, 1)))
