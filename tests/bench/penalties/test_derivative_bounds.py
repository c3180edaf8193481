"""What an operator with one prox says of its own derivatives, against its derivatives; float64, 16×16 images."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace

import pytest
import torch
from deepinv.physics import BlurFFT, Denoising, Inpainting
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from bench.config.call_syntax import parse_call
from bench.operators import SPLITTINGS as MAKE
from bench.operators import ProximalOperator, Splitting
from bench.operators.base import BoundOperator
from bench.penalties import Penalty, colours, huber, l1, orientations, orientations_colours, union
from solvers import DerivativeBounds, DerivativeChange
from tests.helpers.tensors import F64, draw

SMOOTH, RIDGED = (0.05, 0.0), (0.05, 0.3)
PRIORS = [
    l1(),
    Penalty("l1, ridge", 0.0, 0.3),
    Penalty("huber, no ridge", 0.05, 0.0),
    huber(0.05, 0.3),
    *(
        make(*call)
        for make in (orientations, colours, orientations_colours, union)
        for call in ((), (0.0, 0.3), SMOOTH, RIDGED)
    ),
]
every = pytest.mark.parametrize("prior", PRIORS, ids=lambda prior: prior.label)
CALLS = ("forward_backward", "peaceman_rachford(0.5)", "douglas_rachford(gamma=3)", "half_quadratic(2)")
SPLITTINGS = [parse_call(call, MAKE, "splitting") for call in CALLS]
each = pytest.mark.parametrize(
    ("prior", "splitting"),
    [(p, s) for i, p in enumerate(PRIORS) for j, s in enumerate(SPLITTINGS) if j == 0 or (i + j) % 2],
    ids=lambda made: made.label,
)
EXACT = 1 + 1e-9


def blur():
    kernel = torch.zeros(1, 1, 3, 3, dtype=F64)
    kernel[0, 0] = torch.tensor([[0.1, 0.5, 0.0], [0.0, 0.2, 0.0], [0.0, 0.0, 0.2]], dtype=F64)
    return BlurFFT(img_size=(3, 16, 16), filter=kernel)


def lost():
    return Inpainting((3, 16, 16), mask=(draw(3, 3, 16, 16) > 0).to(F64))


PHYSICS = {"denoising": Denoising, "deblurring": blur, "inpainting": lost}


@dataclass
class At:
    """An operator at a state ``x`` of two images, whose derivatives are looked at."""

    T: BoundOperator
    x: Tensor

    def __post_init__(self) -> None:
        assert isinstance(self.T.operator, ProximalOperator)
        self.operator = self.T.operator
        self.weights = self.operator.prior.log_weights
        found = self.T.regularity()
        assert found is not None
        self.regularity: DerivativeBounds = found

    def pull(self, x: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
        """``J(x)ᵀu`` and ``B(x)ᵀu``."""
        x = x.detach().requires_grad_()
        J, B = torch.autograd.grad(self.T(x), [x, self.weights], u)
        return J, B

    def size(self, x: Tensor) -> float:
        """``‖B(x)‖``, from its columns."""

        def step(weights: Tensor) -> Tensor:
            given = {"prior.log_weights": weights}
            return torch.func.functional_call(self.operator, given, (x, self.T.y, self.T.physics)).flatten()

        B = torch.func.jacfwd(step)(self.weights.detach()).flatten(1)
        return math.sqrt(float(torch.linalg.eigvalsh(B.mT @ B)[-1]))

    def magnitudes(self, x: Tensor) -> Tensor:
        """The norm of the group of every coefficient that the prox is given."""
        prior = self.operator.prior
        z, step = self.operator.prox_argument(x, self.T.data)
        return prior.groups.magnitude(prior.argument(z, step), self.weights.shape[1])

    def kinks(self) -> Tensor:
        """Where each norm has its kink: ``t + δ(1 + τε)``; infinite for the approximation, which has none."""
        prior, step = self.operator.prior, self.operator.step()
        t = prior.expand(
            torch.nn.functional.pad((step * self.weights.exp()).expand(-1, -1, 3).flatten(1), (1, 0))
        )
        return torch.where(t > 0, t + prior.smoothing * (1 + step * prior.ridge), math.inf).detach()

    def flipped(self, rank: int) -> tuple[Tensor, Tensor]:
        """A state just beyond the kink that is the ``rank``-th nearest, and the direction that led there."""
        x = self.x.detach().requires_grad_()
        sizes = self.magnitudes(x)
        gaps = (self.kinks() - sizes).detach().flatten()
        near = gaps.abs().argsort()[rank]
        (slope,) = torch.autograd.grad(sizes.flatten()[near], x)
        if not slope.square().sum() > 1e-12:
            return self.x, slope
        # Norms are convex: their slope overestimates how fast they shrink, but hardly so at this distance.
        return self.x + slope * gaps[near] * 1.001 / slope.square().sum(), slope

    def actual(self, there: Tensor, u: Tensor) -> DerivativeChange:
        """What the derivatives do between ``x`` and ``there``."""
        (a, b), (c, d) = self.pull(self.x, u), self.pull(there, u)
        return DerivativeChange(float((a - c).norm()), float((b - d).norm()), self.size(there))

    def bound(self, there: Tensor, u: Tensor) -> DerivativeChange:
        """What the regularity says of a ball that just holds ``there``."""
        return self.regularity.change(self.x, u, float((there - self.x).norm()))


def at(prior: Penalty, physics: str, seed: int, step: float = 1.0, splitting=SPLITTINGS[0]) -> At:
    """Weights are scattered so that some groups vanish and some do not."""
    prior = replace(prior, wavelet="haar", levels=2, union=("haar", "db2") if prior.union else ())
    made = PHYSICS[physics]()
    operator = splitting.operator(prior, made, (3, 16, 16), step, F64, "cpu")
    operator.prior.log_weights.data.copy_(0.5 * draw(seed, *operator.prior.log_weights.shape) - 1.5)
    image = 0.5 + 0.3 * draw(seed + 1, 2, 3, 16, 16)
    T = operator.bind(image + 0.1 * draw(seed + 2, 2, 3, 16, 16), made)
    assert isinstance(T, BoundOperator)
    return At(T, operator.start(image).detach())


def assert_bounded(actual: DerivativeChange, bound: DerivativeChange) -> None:
    for name in ("J", "B", "size"):
        assert getattr(actual, name) <= getattr(bound, name) * EXACT + 1e-13, (name, actual, bound)


class Operations(TorchDispatchMode):
    """The names of all operations that are made."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.add(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


@every
def test_the_sum_over_each_band_is_exact_and_determined_on_a_gpu(prior):
    here = at(prior, "denoising", 3)
    channels, levels, orientations = here.weights.shape
    values = draw(7, 2, channels, *here.x.shape[-2:]).square()
    with Operations() as made:
        found = here.regularity.sum_by_weight(values)
    # These add up in another order each time, or wait for the device.
    assert not made.names & {"bincount", "index_add", "index_add_", "scatter_add", "scatter_add_", "nonzero"}
    number = 1 + 3 * levels
    bands = here.operator.prior.expand(torch.arange(number)[None])[0].flatten()
    sums = torch.stack([torch.bincount(bands, plane.flatten(), number) for plane in values.sum(0)])
    right = sums[:, 1:].view(channels, levels, 3)
    right = right if orientations == 3 else right.sum(2, keepdim=True)
    assert found.shape == here.weights.shape
    torch.testing.assert_close(found, right, rtol=1e-14, atol=0)


@each
@settings(max_examples=2)
@given(
    physics=st.sampled_from(list(PHYSICS)),
    seed=st.integers(0, 10_000),
    step=st.sampled_from((0.3, 1.0, 1.5)),
    radius=st.sampled_from((0.0, 1e-4, 1e-2, 0.3, 5.0)),
    aligned=st.booleans(),
)
def test_no_state_of_the_ball_leaves_the_bounds(prior, splitting, physics, seed, step, radius, aligned):
    here = at(prior, physics, seed, step, splitting)
    direction = here.T(here.x).detach() - here.x if aligned else draw(seed + 3, *here.x.shape)
    there = here.x + radius * direction / direction.norm()
    for u in (draw(seed + 4, *here.x.shape), direction):
        assert_bounded(here.actual(there, u), here.bound(there, u))


@each
@settings(max_examples=2)
@given(physics=st.sampled_from(list(PHYSICS)), seed=st.integers(0, 10_000), rank=st.integers(0, 40))
def test_no_flip_at_a_kink_leaves_the_bounds(prior, splitting, physics, seed, rank):
    """The ball just reaches beyond one kink, and the cotangent looks at nothing but the group there."""
    here = at(prior, physics, seed, 0.7, splitting)
    there, u = here.flipped(rank)
    assert_bounded(here.actual(there, u), here.bound(there, u))


def single(prior: Penalty, seed: int, splitting: Splitting) -> tuple[At, Tensor, Tensor]:
    """Denoising, where all coefficients move alike, and a flip back and forth: the second begins next to the kink."""
    here = at(prior, "denoising", seed, 0.5, splitting)
    here = At(here.T, here.flipped(0)[0])
    there, slope = here.flipped(0)
    return here, there, slope / slope.norm()


@each
def test_at_a_flip_the_bounds_are_attained(prior, splitting):
    """Up to what other groups do in the ball, of which there is nothing where u looks at a single one."""
    if prior.union:
        return  # u looks at several
    here, there, u = single(prior, 4, splitting)
    actual, bound = here.actual(there, u), here.bound(there, u)
    assert_bounded(actual, bound)
    assert (here.magnitudes(here.x) > here.kinks()).ne(here.magnitudes(there) > here.kinks()).any()
    assert bound.J < 1.05 * actual.J
    assert bound.B < 1.05 * actual.B


@each
def test_at_a_point_the_size_is_exact_up_to_what_weights_share(prior, splitting):
    here = at(prior, "deblurring", 0, splitting=splitting)
    change = here.regularity.change(here.x, here.x, 0.0)
    assert (change.J, change.B) == (0.0, 0.0)
    assert here.size(here.x) <= change.size * EXACT
    assert change.size <= here.size(here.x) * EXACT


@pytest.mark.parametrize("smoothing", [0.0, 0.05])
def test_away_from_kinks_the_curvature_of_a_norm_is_nearly_attained(smoothing):
    """One group of three colours, the furthest outside: over directions and cotangents in a plane with its own."""
    here = at(replace(colours(), smoothing=smoothing), "denoising", 4, 0.5)
    x = here.x.clone().requires_grad_()
    sizes, kinks = here.magnitudes(x), here.kinks()
    furthest = torch.where(kinks < math.inf, sizes - kinks, -1).argmax()
    (c,) = torch.autograd.grad(sizes.flatten()[furthest], x)
    c = c / c.norm()
    # Other colours of the same coefficient: the same group.
    e = c.roll(1, 1)
    e = e - (e * c).sum() * c
    e = e / e.norm()
    ratios = []
    angles = torch.linspace(0, math.pi, 9).tolist()
    for angle, turned in itertools.product(angles, angles):
        there = here.x + 1e-5 * (math.cos(angle) * c + math.sin(angle) * e)
        u = math.cos(turned) * c + math.sin(turned) * e
        (a, b), (c1, d) = here.pull(here.x, u), here.pull(there, u)
        bound = here.bound(there, u)
        assert (a - c1).norm() <= bound.J * EXACT
        assert (b - d).norm() <= bound.B * EXACT
        ratios.append((float((a - c1).norm()) / bound.J, float((b - d).norm()) / bound.B))
    # 2/√3 is what a symmetric matrix of rank two adds, and no cotangent of this plane sees more than 1.
    assert max(J for J, _ in ratios) > 0.99 * math.sqrt(3) / 2
    assert max(B for _, B in ratios) > 0.99
    # Inwards, almost to the kink: the curvature is that of the end, not that of the beginning.
    size, kink = sizes.flatten()[furthest].detach(), kinks.expand_as(sizes).flatten()[furthest]
    there = here.x - 2 * (size - 1.01 * kink) * c
    assert_bounded(here.actual(there, e), here.bound(there, e))


def test_a_coefficient_that_changes_its_sign_moves_by_twice_its_threshold():
    here = at(l1(), "denoising", 4, 0.5)
    x = here.x.clone().requires_grad_()
    sizes, kinks = here.magnitudes(x), here.kinks()
    nearest = torch.where((kinks < math.inf) & (sizes > kinks), sizes - kinks, math.inf).argmin()
    (c,) = torch.autograd.grad(sizes.flatten()[nearest], x)
    there, u = here.x - 2 * sizes.flatten()[nearest].detach() * c / c.square().sum(), c / c.norm()
    actual, bound = here.actual(there, u), here.bound(there, u)
    assert_bounded(actual, bound)
    assert bound.B < 1.05 * actual.B


def test_inside_a_kink_the_change_in_the_weights_is_attained():
    here = at(huber(0.5, 0.3), "denoising", 4, 0.5)
    x = here.x.clone().requires_grad_()
    sizes, kinks = here.magnitudes(x), here.kinks()
    deepest = torch.where(kinks < math.inf, kinks - sizes, -1).argmax()
    (u,) = torch.autograd.grad(sizes.flatten()[deepest], x)
    there, u = here.x + 1e-3 * u / u.norm(), u / u.norm()
    actual, bound = here.actual(there, u), here.bound(there, u)
    assert_bounded(actual, bound)
    assert bound.B < 1.05 * actual.B


@each
def test_in_a_ball_without_end_the_bounds_are_those_of_any_prox(prior, splitting):
    """``0 ≤ P' ≤ 1/σ`` everywhere, and ``‖∂P/∂log ω‖ ≤ t/σ`` for each group."""
    here = at(prior, "deblurring", 0, splitting=splitting)
    u = draw(1, *here.x.shape)
    change, size = here.regularity.change(here.x, u, 1e12), float(u.norm())
    gain, slope = here.operator.gain, here.operator.argument_lipschitz((0.0, 1.0))
    largest = gain * float(here.operator.step() * here.weights.detach().exp().max())
    assert change.J / size <= gain * slope * EXACT
    # Those of a weight add up, and each of them is at most twice its threshold.
    assert change.B / size <= 2 * largest * u.numel() ** 0.5
    assert change.size <= 3 * largest * u.numel() ** 0.5
