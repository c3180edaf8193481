"""What a gradient step on a ridge regulariser says of its own derivatives, against its derivatives; float64."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
import torch
from deepinv.physics import BlurFFT, Denoising, Inpainting
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from bench.operators.base import BoundOperator
from bench.operators.gradient_step import GradientStep
from bench.regularisers import REGULARISERS, RidgeRegulariser
from bench.regularisers.ridge_bounds import RidgeBounds
from bench.regularisers.ridge_potential import RidgePotential, largest_sum
from solvers import DerivativeChange, QuasiNewton
from tests.helpers.tensors import F64, draw

EXACT = 1 + 1e-9
CALLS = [("crr", False), ("crr", True), ("wcrr", False), ("wcrr", True)]
each = pytest.mark.parametrize("call", CALLS, ids=str)


def blur(side):
    return BlurFFT((1, side, side), draw(0, 1, 1, 3, 3).abs() / 5)


def lost(side):
    return Inpainting((1, side, side), mask=(draw(1, 1, side, side) > 0).to(F64))


PHYSICS = {"denoising": lambda side: Denoising(), "deblurring": blur, "inpainting": lost}


@dataclass
class At:
    """A step at an image ``x``, whose derivatives are looked at."""

    T: BoundOperator
    x: Tensor

    def __post_init__(self) -> None:
        operator = self.T.operator
        assert isinstance(operator, GradientStep)
        assert isinstance(operator.regulariser, RidgeRegulariser)
        found = RidgeBounds.of(
            operator.step(), operator.regulariser, self.T.data
        )  # also where L is not below 1
        assert found is not None
        self.regulariser, self.regularity = operator.regulariser, found
        self.parameters = list(self.regulariser.parameters())

    def pull(self, x: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
        """``J(x)ᵀu`` and ``B(x)ᵀu``."""
        x = x.detach().requires_grad_()
        J, *B = torch.autograd.grad(self.T(x), [x, *self.parameters], u)
        return J, torch.cat([b.flatten() for b in B])

    def dense(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """``J(x)`` and ``B(x)``."""
        rows = [self.pull(x, e.view_as(x)) for e in torch.eye(x.numel(), dtype=F64)]
        return torch.stack([J.flatten() for J, _ in rows]), torch.stack([B for _, B in rows])

    def size(self, x: Tensor) -> float:
        """``‖B(x)‖``."""
        B = self.dense(x)[1]
        return math.sqrt(float(torch.linalg.eigvalsh(B @ B.T)[-1]))

    def gain(self, x: Tensor) -> float:
        """``‖B(x)ᵀ (I − J(x)ᵀ)⁻¹‖``."""
        J, B = self.dense(x)
        solved = torch.linalg.solve(torch.eye(len(J), dtype=F64) - J, B)
        return math.sqrt(float(torch.linalg.eigvalsh(solved @ solved.T)[-1]))

    def gaps(self, x: Tensor) -> Tensor:
        """How far each coefficient is from its first kink, positive beyond."""
        R = self.regulariser
        t = R.scalings.exp() * self.regularity.chain.forward(R.scale.exp() * x)[-1]
        return (R.steepness.exp() * t).abs() - 1

    def flipped(self, rank: int) -> tuple[Tensor, Tensor]:
        """An image just beyond the kink that is the ``rank``-th nearest, and the direction that led there."""
        x = self.x.detach().requires_grad_()
        gaps = self.gaps(x).flatten()
        R = self.regulariser
        sizes = (R.scalings.exp() * self.regularity.chain.row_norms(*x.shape[-2:])).expand(len(x), -1, -1, -1)
        near = (gaps.abs() / sizes.flatten()).argsort()[rank]
        (slope,) = torch.autograd.grad(gaps[near], x)
        return (x - slope * gaps[near] * 1.001 / slope.square().sum()).detach(), slope / slope.norm()

    def assert_bounded(self, there: Tensor, u: Tensor, size: bool = False) -> DerivativeChange:
        """The derivatives at ``there`` are within the bounds of a ball that just holds it."""
        (a, b), (c, d) = self.pull(self.x, u), self.pull(there, u)
        bound = self.regularity.change(self.x, u, float((there - self.x).norm()))
        assert float((a - c).norm()) <= bound.J * EXACT + 1e-13
        assert float((b - d).norm()) <= bound.B * EXACT + 1e-13
        assert float(d.norm()) <= bound.size * float(u.norm()) * EXACT
        if size:
            assert self.size(there) <= bound.size * EXACT
        return bound


def at(call=("crr", False), physics="denoising", seed=0, side=13, batch=2, steepness=2.0) -> At:
    """Scalings are scattered so that coefficients lie on both sides of both kinks."""
    R = REGULARISERS[call[0]](call[1]).regulariser(F64, "cpu")
    with torch.no_grad():
        R.scalings.add_(0.7 * draw(seed, *R.scalings.shape))
        R.strength.fill_(-1.0)
        R.scale.fill_(0.3)
        R.steepness.fill_(steepness)
        for kernel in R.kernels:
            kernel.add_(0.02 * draw(seed + 1, *kernel.shape))
    made = PHYSICS[physics](side)
    image = 0.5 + 0.3 * draw(seed + 2, batch, 1, side, side)
    T = GradientStep(R, 0.5).bind(image + 0.1 * draw(seed + 3, *image.shape), made)
    assert isinstance(T, BoundOperator)
    return At(T, image)


@each
@settings(max_examples=4, deadline=None)
@given(
    physics=st.sampled_from(list(PHYSICS)),
    seed=st.integers(0, 10_000),
    steepness=st.sampled_from((-0.5, 2.0, 5.0)),
    radius=st.sampled_from((0.0, 1e-5, 1e-3, 0.1, 3.0)),
    aligned=st.booleans(),
)
def test_no_image_of_the_ball_leaves_the_bounds(call, physics, seed, steepness, radius, aligned):
    here = at(call, physics, seed, steepness=steepness)
    direction = here.T(here.x).detach() - here.x if aligned else draw(seed + 4, *here.x.shape)
    there = here.x + radius * direction / direction.norm()
    for u in (draw(seed + 5, *here.x.shape), direction):
        here.assert_bounded(there, u)


@each
@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 10_000), rank=st.integers(0, 40))
def test_no_flip_at_a_kink_leaves_the_bounds(call, seed, rank):
    """The ball just reaches beyond one kink, and the cotangent looks at little but the coefficient there."""
    here = at(call, seed=seed)
    there, u = here.flipped(rank)
    here.assert_bounded(there, u)


@pytest.mark.parametrize("call", [CALLS[0], CALLS[3]], ids=str)
def test_the_size_of_b_is_bounded(call):
    here = at(call, side=6, batch=1)
    u = draw(2, *here.x.shape)
    here.assert_bounded(here.x + 0.05 * draw(1, *here.x.shape), u, size=True)
    assert here.assert_bounded(here.x, u, size=True).size <= 40 * here.size(here.x)


@settings(max_examples=8, deadline=None)
@given(
    circular=st.booleans(),
    physics=st.sampled_from(("denoising", "deblurring")),
    seed=st.integers(0, 10_000),
    steepness=st.sampled_from((-0.5, 2.0, 5.0)),
    radius=st.sampled_from((0.0, 1e-3, 0.1, 1.0)),
)
def test_the_gain_is_bounded_in_the_ball(circular, physics, seed, steepness, radius):
    here = at(("crr", circular), physics, seed, side=5, batch=1, steepness=steepness)
    direction = draw(seed + 4, *here.x.shape)
    there = here.x + radius * direction / direction.norm()
    assert here.gain(there) <= here.regularity.change(here.x, here.x, radius).gain * EXACT


def test_the_gain_is_far_below_the_size_over_the_contraction():
    """At the equilibrium, where ``e^{α−s} Wᵀh`` is as small as the residual of the data."""
    here = at(side=10, batch=1, steepness=5.0)
    with torch.no_grad():
        here.x = QuasiNewton(1e-10, 2000)(here.T, here.x).x
    change = here.regularity.change(here.x, here.x, 0.0)
    assert here.gain(here.x) <= change.gain <= 40 * here.gain(here.x)
    assert 10 * change.gain <= change.size / (1 - here.regularity.L)


@settings(max_examples=6, deadline=None)
@given(
    physics=st.sampled_from(("denoising", "deblurring")),
    seed=st.integers(0, 10_000),
    steepness=st.sampled_from((-0.5, 2.0, 5.0)),
)
@example(physics="denoising", seed=0, steepness=2.0)
def test_adjoints_are_small_where_coefficients_have_a_slope(physics, seed, steepness):
    here = at(("crr", False), physics, seed, side=5, batch=1, steepness=steepness)
    bounds, unit = here.regularity, torch.eye(25, dtype=F64)
    adjoints = torch.linalg.inv(unit - here.dense(here.x)[0])
    z = bounds.chain.forward(bounds.scale * here.x)[-1]
    seen = bounds.chain.forward(adjoints.view(25, 1, 5, 5))[-1] * (bounds.potential.first_linear(z) != 0)
    sizes = bounds.adjoint_sizes()
    assert sizes is not None
    found = [float(torch.linalg.matrix_norm(A.flatten(1), 2)) for A in (adjoints, seen)]
    assert all(a <= b * EXACT for a, b in zip(found, sizes, strict=True))
    if physics == "denoising" and steepness > 0:  # attained where ``e^α WᵀPW`` has the eigenvalues 0 and 1
        assert found[0] >= 0.99 * sizes[0]
        assert found[1] >= 0.7 * sizes[1]


def test_a_regulariser_that_is_not_convex_states_no_gain():
    here = at(CALLS[2], side=6, batch=1)
    assert here.regularity.change(here.x, here.x, 0.1).gain == math.inf


@each
def test_a_single_flip_attains_the_change_of_j(call):
    """From next to a kink, across it, and seen from there."""
    here = at(call, seed=3)
    here = At(here.T, here.flipped(0)[0])
    there, u = here.flipped(0)
    bound = here.assert_bounded(there, u)
    assert ((here.gaps(here.x) > 0) != (here.gaps(there) > 0)).sum() == 1
    a, c = here.pull(here.x, u)[0], here.pull(there, u)[0]
    assert 1.001 * float((a - c).norm()) > bound.J


def test_at_a_point_derivatives_do_not_change():
    here = at()
    change = here.regularity.change(here.x, here.x, 0.0)
    assert (change.J, change.B) == (0.0, 0.0)


@each
def test_in_a_ball_without_end_j_changes_by_all_of_its_curvature(call):
    here = at(call)
    u = draw(1, *here.x.shape)
    change = here.regularity.change(here.x, u, 1e12)
    R = here.regulariser
    most = here.regularity.tau * float(R.strength.detach().exp()) * here.regularity.chain.norm**2 * 7.4
    assert most * float(u.norm()) >= change.J


def test_a_loss_of_convexity_leaves_no_bounds():
    """``ρ ≤ e^α ‖W‖²`` is above the 1 of denoising at the initial weights."""
    here = at(("wcrr", False))
    assert (here.T.regularity() is None) is (here.T.operator.curvature().weak >= 1)
    with torch.no_grad():
        here.regulariser.strength.fill_(0.0)
    assert here.T.operator.curvature().weak > 1
    assert here.T.regularity() is None
    with torch.no_grad():
        here.regulariser.strength.fill_(-4.0)
    found = here.T.regularity()
    assert found is not None
    assert 0 < found.L < 1


@each
def test_the_factor_bounds_the_derivative(call):
    here = at(call, side=10)
    u = draw(3, *here.x.shape)
    for _ in range(40):
        u = here.pull(here.x, u / u.norm())[0]
    assert float(u.norm()) <= here.regularity.L


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), distance=st.sampled_from((0.0, 0.3, 1.0, 4.0)))
def test_the_largest_sum_is_no_less_than_any(seed, distance):
    values, gap = draw(seed, 8).abs(), draw(seed + 1, 8).abs()
    best = 0.0
    for chosen in range(256):
        mask = torch.tensor([chosen >> i & 1 for i in range(8)], dtype=torch.bool)
        if float(gap[mask].square().sum()) <= distance**2:
            best = max(best, float(values[mask].sum()))
    found = largest_sum(values, gap, distance)
    assert best <= found * EXACT
    assert found <= best + float(values.max())


@pytest.mark.parametrize("weak", [0.0, 1.0])
@pytest.mark.parametrize("steepness", [0.5, 6.0])
def test_changes_of_a_coefficient_are_those_of_its_interval(weak, steepness):
    sizes = torch.tensor([0.7, 1.3], dtype=F64).view(2, 1, 1)
    potential = RidgePotential(steepness, weak, sizes)
    z = torch.linspace(-3, 3, 201, dtype=F64).view(1, 1, 1, -1).expand(1, 2, 1, -1)

    def slope(z: Tensor) -> Tensor:
        z = z.clone().requires_grad_()
        return torch.autograd.grad(potential.value(z).sum(), z)[0]

    for d in (0.01, 0.4, 2.5):
        found = potential.changes(z, torch.full_like(z, d))
        for a in torch.linspace(-d, d, 41, dtype=F64):
            there = z + a
            assert found.slope.dtype == F64
            assert bool(((slope(there) - slope(z)).abs() <= found.slope * EXACT).all())
            assert bool(
                ((potential.offset(there) - potential.offset(z)).abs() <= found.offset * EXACT + 1e-12).all()
            )
            assert bool((slope(there).abs() <= found.steepest * EXACT).all())
            moved = (potential.first_linear(there) - potential.first_linear(z)).abs()
            assert bool((moved <= found.steepest * abs(a) + found.offset + 1e-12).all())
        torch.testing.assert_close(potential.offset(z), slope(z) * z - potential.value(z))
