"""Groups, coupled weights and unions of bases, in float64 on 8×8 images unless a test says otherwise."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace
from unittest.mock import patch

import pytest
import torch
from deepinv.physics import BlurFFT, Denoising
from hypothesis import given
from hypothesis import strategies as st

from bench.config.call_syntax import parse_call
from bench.penalties import (
    PRIORS,
    Groups,
    Penalty,
    WeightedPenalty,
    colours,
    huber,
    l1,
    orientations,
    orientations_colours,
    union,
)
from bench.penalties.groups import ExpandBands, join, split
from bench.penalties.synthesis import free_entries
from bench.utils.errors import UserError
from solvers import deq
from tests.bench.penalties.energy import energy as penalty_energy

F64 = torch.float64
EVERY_GROUPS = [Groups(), Groups(orientations=True), Groups(colours=True), Groups(True, True)]
GROUPED = [
    make(*call) for make in (orientations, colours, orientations_colours) for call in ((), (0.05, 0.3))
]
COUPLED = [replace(p, coupled=True, label=f"{p.label} coupled") for p in GROUPED]
STATES = [*COUPLED, union(), union(0.05, 0.3)]
EVERY = [l1(), huber(), *GROUPED, *STATES]
every = pytest.mark.parametrize("prior", EVERY, ids=lambda p: p.label)
coupled = pytest.mark.parametrize("prior", COUPLED, ids=lambda p: p.label)
seeds = st.integers(0, 10_000)


def draw(seed, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


def small(prior):
    return replace(prior, wavelet="haar", levels=2, union=("haar", "db2") if prior.union else ())


def scatter(penalty, seed, size=0.4):
    """Parameters away from their start; some groups vanish in the prox, some do not."""
    with torch.no_grad():
        penalty.log_weights.copy_(0.5 * draw(seed, *penalty.log_weights.shape) - 1.5)
        if hasattr(penalty, "coupling"):
            penalty.coupling.copy_(size * draw(seed + 1, *penalty.coupling.shape))
    return penalty


def built(prior, seed):
    return scatter(small(prior).build((3, 8, 8), F64), seed)


def state_shape(prior, batch=1):
    return batch, 6 if prior.union else 3, 8, 8


def blur():
    kernel = torch.zeros(1, 1, 3, 3, dtype=F64)
    kernel[0, 0, 0, 1], kernel[0, 0, 2, 2], kernel[0, 0, 1, 1] = 0.5, 0.3, 0.2
    return BlurFFT(img_size=(3, 8, 8), filter=kernel)


PHYSICS = {"denoising": Denoising, "blur": blur}


def eigenvalues(physics):
    A = dense(physics.A, (1, 3, 8, 8))
    values = torch.linalg.svdvals(A).square()
    return float(values.min()), float(values.max())


def dense(f, shape, at=None):
    at = torch.zeros(shape, dtype=F64) if at is None else at
    return torch.func.jacrev(lambda x: f(x).flatten())(at).reshape(-1, at.numel()).detach()


@pytest.mark.parametrize("groups", EVERY_GROUPS, ids=str)
def test_magnitudes_are_those_of_a_plain_loop(groups):
    c = draw(0, 2, 3, 16, 8)
    found = groups.magnitude(c, 2).expand_as(c)
    for b, channel, y, x in torch.cartesian_prod(*(torch.arange(n) for n in c.shape)).tolist():
        channels = range(3) if groups.colours else [channel]
        places = [(y, x)]
        for h, w in ((8, 4), (4, 2)):  # the finest scale first
            if max(y // h, x // w) == 1 and groups.orientations:
                places = [(h + y % h, x % w), (y % h, w + x % w), (h + y % h, w + x % w)]
        expected = sum(float(c[b, k, i, j]) ** 2 for k in channels for i, j in places) ** 0.5
        assert found[b, channel, y, x].item() == pytest.approx(expected, rel=1e-12)


def test_a_plane_taken_apart_has_the_bands_of_the_wavelets_and_joins_again():
    bands = l1().build((1, 32, 64)).wavelets.bands[None, None]
    approximation, details = split(bands, 3)
    assert (approximation == 0).all()
    for j, detail in enumerate(details):
        assert all((detail[:, :, o] == 1 + 3 * j + o).all() for o in range(3))
    assert torch.equal(join(approximation, details), bands)


@pytest.mark.parametrize(("size", "levels"), [((32, 64), 3), ((8, 8), 1), ((72, 40), 2)])
def test_a_number_a_band_is_spread_over_its_places(size, levels):
    bands = replace(l1(), wavelet="haar", levels=levels).build((1, *size)).wavelets.bands
    numbers = draw(0, 2, 3, 1 + 3 * levels).requires_grad_()
    found = ExpandBands(bands)(numbers)
    assert torch.equal(found, numbers[..., bands])
    v = draw(1, *found.shape)
    (expected,) = torch.autograd.grad(numbers[..., bands], numbers, v)
    torch.testing.assert_close(torch.autograd.grad(found, numbers, v)[0], expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("ridge", [0.0, 0.3])
def test_the_shrinkage_and_its_gradients_are_the_textbooks(smoothing, ridge):
    """``z − clamp(slope·z, ±t)`` over ``1 + τε``, place by place, at random weights."""
    penalty = scatter(small(Penalty("x", smoothing, ridge)).build((3, 8, 8), F64), 0)
    c, v = 0.5 * draw(1, 2, 3, 8, 8), draw(2, 2, 3, 8, 8)
    c.requires_grad_()
    tau = torch.tensor(0.7, dtype=F64, requires_grad=True)
    inputs = (c, penalty.log_weights, tau)
    w = torch.nn.functional.pad(penalty.log_weights.exp().flatten(1), (1, 0))[:, penalty.wavelets.bands]
    t, k = tau * w, 1 + tau * ridge
    expected = (c - torch.clamp(c * t / (smoothing * k + t) if smoothing else c, -t, t)) / k
    found = penalty.shrink(c, tau)
    torch.testing.assert_close(found, expected, rtol=1e-13, atol=1e-15)
    one, two = (torch.autograd.grad(out, inputs, v) for out in (found, expected))
    for a, b in zip(one, two, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-13)


def test_groups_of_one_are_l1():
    one = small(huber(0.1, 0.2)).build((1, 8, 8), F64)
    for smoothing, ridge in ((0.0, 0.0), (0.1, 0.2)):
        plain = WeightedPenalty(one.wavelets, torch.full((1, 2, 3), 0.3, dtype=F64), smoothing, ridge)
        group = WeightedPenalty(
            one.wavelets, torch.full((1, 2, 3), 0.3, dtype=F64), smoothing, ridge, Groups(colours=True)
        )
        z, tau = draw(0, 2, 1, 8, 8), torch.tensor(0.7, dtype=F64)
        torch.testing.assert_close(group.prox(z, tau), plain.prox(z, tau), rtol=0, atol=1e-14)
        torch.testing.assert_close(penalty_energy(group, z), penalty_energy(plain, z), rtol=1e-13, atol=0)


@every
@given(seed=seeds, step=st.floats(0.1, 3))
def test_the_prox_minimises_its_problem(prior, seed, step):
    """By the subgradient inequality at far, near and aligned points, which is the whole of optimality."""
    penalty, tau = built(prior, seed), torch.tensor(step, dtype=F64)
    z = 0.7 * draw(seed + 2, *state_shape(prior)) + 0.2
    with torch.no_grad():
        p = penalty.prox(z, tau)

        def objective(s):
            return penalty_energy(penalty, s) + (s - z).square().sum() / (2 * tau)

        best = objective(p)
        others = [p + size * draw(seed + 3, *p.shape) for size in (1e-3, 1e-2, 0.1, 1.0)]
        for other in (*others, p + 1e-3 * (z - p), 0.9 * p, torch.zeros_like(p)):
            gap = other - p
            convex = ((z - p) * gap).sum() / tau + prior.ridge / 2 * gap.square().sum()
            assert (
                penalty_energy(penalty, other) >= (penalty_energy(penalty, p) + convex) * (1 - 1e-12) - 1e-12
            )
            assert objective(other) >= best * (1 - 1e-14)


@every
@given(seed=seeds, step=st.floats(0.1, 3))
def test_the_prox_is_firmly_nonexpansive_and_contracts_by_its_ridge(prior, seed, step):
    penalty, tau = built(prior, seed), torch.tensor(step, dtype=F64)
    x, y = draw(seed + 2, *state_shape(prior)), 0.2 * draw(seed + 3, *state_shape(prior))
    with torch.no_grad():
        gap, moved = x - y, penalty.prox(x, tau) - penalty.prox(y, tau)
    assert (1 + step * prior.ridge) * moved.square().sum() <= (moved * gap).sum() * (1 + 1e-12)


@pytest.mark.parametrize("prior", EVERY, ids=lambda p: p.label)
def test_the_synthesis_has_its_adjoint_and_its_range(prior):
    penalty = built(prior, 0)
    s, x = draw(2, *state_shape(prior, 2)), draw(3, 2, 3, 8, 8)
    torch.testing.assert_close(
        (penalty.image(s) * x).sum(), (s * penalty.synthesis_adjoint(x)).sum(), rtol=1e-12, atol=0
    )
    S = dense(penalty.image, state_shape(prior))
    values = torch.linalg.eigvalsh(S.mT @ S)
    found = penalty.range()
    assert all(type(end) is float for end in found)
    assert found == pytest.approx((float(values[0]), float(values[-1])), abs=1e-12)


def test_a_union_is_a_tight_frame():
    penalty = union().build((3, 32, 32), F64)
    x = draw(0, 2, 3, 32, 32)
    state = penalty.synthesis_adjoint(x)
    assert state.shape == (2, 9, 32, 32)
    torch.testing.assert_close(penalty.image(state), x, rtol=0, atol=1e-13)
    for k, wavelet in enumerate(("haar", "db2", "db4")):
        one = replace(l1(), wavelet=wavelet).build((3, 32, 32), F64).wavelets.analyse(x)
        torch.testing.assert_close(state[:, 3 * k : 3 * k + 3], one / 3**0.5, rtol=0, atol=1e-13)


@coupled
def test_the_matrices_are_triangular_with_determinant_one_in_each_group(prior):
    penalty = built(prior, 0)
    members = prior.groups.members(3)
    apart = members[:, None] != members
    for N in penalty.matrices().detach():
        assert (N.triu(1) == 0).all()
        assert (N[apart] == 0).all()
        for group in members.unique():
            mine = N[members == group][:, members == group]
            assert float(torch.linalg.det(mine)) == pytest.approx(1, rel=1e-12)
            assert (mine.tril() != 0).equal(torch.ones_like(mine).tril() != 0)
    free = free_entries(members).flatten(1)
    torch.testing.assert_close(free @ free.mT, torch.eye(len(free), dtype=F64))
    assert torch.equal(small(prior).build((3, 8, 8), F64).matrices()[0], torch.eye(9, dtype=F64))


@pytest.mark.parametrize(
    ("prior", "channels", "weights", "coupling"),
    [
        (l1(), 3, (3, 3, 3), None),
        (orientations(), 1, (1, 3, 1), None),
        (orientations(coupled=True), 1, (1, 3, 1), (3, 5)),
        (orientations(coupled=True), 3, (3, 3, 1), (3, 15)),
        (colours(coupled=True), 3, (1, 3, 3), (3, 15)),
        (orientations_colours(coupled=True), 3, (1, 3, 1), (3, 44)),
        (union(), 3, (9, 3, 3), None),
    ],
    ids=lambda value: getattr(value, "label", None),
)
def test_what_is_learned(prior, channels, weights, coupling):
    operator = prior.operator((channels, 32, 32), 1.0, torch.float32, "cpu")
    expected = {"prior.log_weights": weights} | ({"prior.coupling": coupling} if coupling else {})
    assert {name: tuple(p.shape) for name, p in operator.named_parameters()} == expected


@every
@pytest.mark.parametrize("physics", PHYSICS)
def test_the_measured_lipschitz_constant_is_within_the_bound(prior, physics):
    physics = PHYSICS[physics]()
    operator = small(prior).operator((3, 8, 8), 1.0, F64, "cpu")
    y = draw(5, 1, 3, 8, 8)
    for seed in (0, 1):
        scatter(operator.prior, seed)
        bound = operator.contraction(eigenvalues(physics))
        assert bound <= 1 + 1e-12
        for size in (0.01, 1.0):  # near 0 most groups vanish; far from it most do not
            at = size * draw(seed + 2, *state_shape(prior))
            J = dense(operator.bind(y * size, physics), None, at)
            assert float(torch.linalg.matrix_norm(J, 2)) <= bound * (1 + 1e-9) + 1e-12


@pytest.mark.parametrize("prior", [*COUPLED, *GROUPED], ids=lambda p: p.label)
def test_the_bound_is_reached_where_nothing_is_shrunk(prior):
    """Without weights the step is linear and its norm is the bound on denoising: a bound too large fails here."""
    operator = small(prior).operator((3, 8, 8), 0.5, F64, "cpu")
    scatter(operator.prior, 0).log_weights.data.fill_(-800)
    J = dense(operator.bind(torch.zeros(1, 3, 8, 8, dtype=F64), Denoising()), (1, 3, 8, 8))
    expected = operator.contraction((1.0, 1.0))
    assert float(torch.linalg.matrix_norm(J, 2)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("prior", STATES, ids=lambda p: p.label)
def test_the_ridge_pulls_towards_mid_grey(prior):
    penalty = small(prior).build((3, 8, 8), F64)
    grey = torch.full((1, 3, 8, 8), 0.5, dtype=F64)
    torch.testing.assert_close(penalty.centre, penalty.synthesis_adjoint(grey), rtol=0, atol=1e-14)
    torch.testing.assert_close(penalty.image(penalty.centre), grey, rtol=0, atol=1e-14)


@every
@pytest.mark.parametrize("level", [0.0, 1e-18, 1e-10])
def test_gradients_are_finite_at_a_black_image_in_float32(prior, level):
    operator = prior.operator((3, 32, 32), 1.0, torch.float32, "cpu")
    black = level * draw(0, 1, 3, 32, 32).float()
    for shift in (0.0, 8.0):
        operator.prior.log_weights.data.add_(shift)
        state = operator.start(black).detach().requires_grad_()
        operator.zero_grad()
        out = operator.image(operator(state, black, Denoising()))
        (out.square().sum() + out.sum()).backward()
        for tensor in (out, state.grad, *(p.grad for p in operator.parameters())):
            assert tensor.isfinite().all()


@given(seed=seeds, prior=st.sampled_from(EVERY))
def test_derivatives_agree_with_differences_and_each_other(seed, prior):
    """Forward and reverse mode in the state, also with parameters from outside; steps too short to meet a kink."""
    operator = small(prior).operator((3, 8, 8), 1.0, F64, "cpu")
    scatter(operator.prior, seed)
    physics, y = blur(), draw(seed + 1, 1, 3, 8, 8)
    x, v, u = (draw(seed + k, *state_shape(prior)) for k in (2, 3, 4))
    T = operator.bind(y, physics)
    _, forward = torch.func.jvp(T, (x,), (v,))
    _, back = torch.func.vjp(T, x)
    torch.testing.assert_close((forward * u).sum(), (v * back(u)[0]).sum(), rtol=1e-10, atol=1e-12)
    held = {name: p.detach() for name, p in operator.named_parameters()}
    _, forward = torch.func.jvp(
        lambda x: torch.func.functional_call(operator, held, (x, y, physics)), (x,), (v,)
    )
    torch.testing.assert_close((forward * u).sum(), (v * back(u)[0]).sum(), rtol=1e-10, atol=1e-12)
    difference = (T(x + 1e-7 * v) - T(x - 1e-7 * v)) / 2e-7
    torch.testing.assert_close(difference, forward, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("prior", [*GROUPED, *STATES], ids=lambda p: p.label)
def test_gradients_in_the_parameters_agree_with_differences(prior):
    penalty, tau = built(prior, 0), torch.tensor(0.7, dtype=F64)
    z = 0.7 * draw(2, *state_shape(prior))
    names = [name for name, _ in penalty.named_parameters()]

    def both(*values):
        with patch.dict(penalty._parameters, dict(zip(names, values, strict=True))):
            return penalty.image(penalty.prox(z, tau)), penalty.synthesis_adjoint(z[:, :3])

    values = tuple(p.detach().clone().requires_grad_() for p in penalty.parameters())
    assert torch.autograd.gradcheck(both, values, fast_mode=True)


def test_the_range_is_found_once_for_the_parameters_of_a_moment():
    penalty = built(COUPLED[0], 0)
    optimiser = torch.optim.Adam(penalty.parameters(), 0.1)

    def looks(f):
        with patch.object(torch.linalg, "svdvals", wraps=torch.linalg.svdvals) as svd:
            found = f()
        return found, svd.call_count

    first, count = looks(lambda: [penalty.range() for _ in range(3)][-1])
    assert count == 1
    assert looks(penalty.range) == (first, 0)
    penalty.image(draw(0, *state_shape(COUPLED[0]))).square().sum().backward()
    optimiser.step()
    seen = {first}
    for change in (
        lambda: None,
        lambda: penalty.load_state_dict({k: 0.9 * v for k, v in penalty.state_dict().items()}),
        lambda: setattr(penalty.coupling, "data", 1.1 * penalty.coupling.data),
        lambda: setattr(penalty, "coupling", torch.nn.Parameter(0.9 * penalty.coupling.detach())),
    ):
        change()
        found = penalty.range()
        assert found == penalty._range()
        assert found not in seen, "stale"
        seen.add(found)
    largest = []

    def wrapped(coupling):
        with patch.dict(penalty._parameters, coupling=coupling):
            largest.append(penalty.range()[1])
        return coupling.sum()

    torch.func.jacrev(torch.func.jacrev(wrapped))(torch.zeros_like(penalty.coupling))
    assert largest == [1]
    outside = {"coupling": torch.zeros_like(penalty.coupling)}
    assert torch.func.functional_call(
        Ranged(penalty), {f"penalty.{k}": v for k, v in outside.items()}, ()
    ) == (1, 1)
    assert penalty.range() == found
    twin = copy.deepcopy(penalty)
    with torch.no_grad():
        twin.coupling.zero_()
    assert twin.range() == (1, 1)


class Ranged(torch.nn.Module):
    def __init__(self, penalty):
        super().__init__()
        self.penalty = penalty

    def forward(self):
        return self.penalty.range()


def test_parameters_from_outside_reach_the_whole_step():
    """``range`` is read off parameters that ``torch.func`` has wrapped."""
    operator = small(orientations_colours(coupled=True)).operator((3, 8, 8), 1.0, F64, "cpu")
    scatter(operator.prior, 0)
    x, y = draw(2, 1, 3, 8, 8), draw(3, 1, 3, 8, 8)
    outside = {name: p.detach().clone() for name, p in operator.named_parameters()}
    step, back = torch.func.vjp(
        lambda theta: torch.func.functional_call(operator, theta, (x, y, blur())), outside
    )
    operator(x, y, blur()).square().sum().backward()
    for name, gradient in back(2 * step)[0].items():
        torch.testing.assert_close(gradient, operator.get_parameter(name).grad)


def settle(operator, y, physics):
    with torch.no_grad():
        T, state = operator.bind(y, physics), operator.start(y)
        state = deq(1e-12, 2000).forward_solver(T, state).x
        for _ in range(50):
            state = T(state)
        assert (T(state) - state).norm() < 1e-11
        return state


@coupled
def test_without_coupling_the_equilibrium_is_that_of_the_groups(prior):
    y, physics = 0.5 + 0.3 * draw(0, 1, 3, 8, 8), Denoising()
    images = []
    for kind in (prior, replace(prior, coupled=False)):
        operator = small(kind).operator((3, 8, 8), 0.5, F64, "cpu")
        operator.prior.log_weights.data.fill_(-2)
        images.append(operator.image(settle(operator, y, physics)))
    torch.testing.assert_close(*images, rtol=0, atol=1e-10)


@coupled
@pytest.mark.parametrize("physics", PHYSICS)
def test_a_coupled_equilibrium_minimises_the_energy_of_its_image(prior, physics):
    """``½‖Ax − y‖² + Σ ω h(‖N_g (Ψx)_g‖) + ε/2 ‖NΨx − Ψ½‖²``, written out in the image, not in the state."""
    prior = replace(prior, ridge=max(prior.ridge, 0.1))  # the blur alone is singular: no rate without a ridge
    physics, members = PHYSICS[physics](), prior.groups.members(3)
    y = physics.A(0.5 + 0.3 * draw(0, 1, 3, 8, 8))
    operator = small(prior).operator((3, 8, 8), 1.0, F64, "cpu")
    penalty, Psi = scatter(operator.prior, 0), operator.prior.wavelets
    # One weight a group, at the place of its first member.
    weights = (
        penalty.log_weights.exp().expand(3, -1, -1) if prior.groups.colours else penalty.log_weights.exp()
    )
    weights = weights.expand(-1, -1, 3)

    def energy(x):
        total = 0.5 * (physics.A(x) - y).square().sum()
        low, details = split(Psi.analyse(x), 2)
        grey_low, grey = split(Psi.analyse(torch.full_like(x, 0.5)), 2)
        total = total + prior.ridge / 2 * (low - grey_low).square().sum()
        for j, (N, d, m) in enumerate(zip(penalty.matrices(), details, grey, strict=True)):
            s = torch.einsum("pq,qhw->phw", N, d[0].flatten(0, 1))
            total = total + prior.ridge / 2 * (s - m[0].flatten(0, 1)).square().sum()
            for group in members.unique():
                first = int((members == group).nonzero()[0])
                size, half = s[members == group].norm(dim=0), prior.smoothing
                huber = torch.where(
                    size > half, size - half / 2, size.square() / (2 * half) if half else size
                )
                total = total + weights[first // 3, j, first % 3] * huber.sum()
        return total

    with torch.no_grad():
        x = operator.image(settle(operator, y, physics))
        best = energy(x)
        for i, size in enumerate((1e-4, 1e-3, 1e-2, 0.1, 1.0)):
            assert all(energy(x + size * draw(10 * i + k, *x.shape)) > best for k in range(5))
        assert energy(x + 1e-4 * (0.5 - x)) > best
        assert energy(x + 1e-4 * (y - x)) > best


def test_a_union_equilibrium_minimises_its_energy():
    prior, physics = small(union(0.0, 0.1)), blur()
    operator = prior.operator((3, 8, 8), 1.0, F64, "cpu")
    penalty, y = scatter(operator.prior, 0), 0.5 + 0.3 * draw(0, 1, 3, 8, 8)
    with torch.no_grad():

        def energy(s):
            return 0.5 * (physics.A(penalty.image(s)) - y).square().sum() + penalty_energy(penalty, s)

        state = settle(operator, y, physics)
        for i, size in enumerate((1e-4, 1e-2, 1.0)):
            assert energy(state + size * draw(i, *state.shape)) > energy(state)


@pytest.mark.parametrize("make", [orientations, colours, orientations_colours])
def test_labels_are_the_shortest_call(make):
    name = make.__name__
    assert make().label == name
    assert make(coupled=True).label == f"{name}(coupled=True)"
    assert make(0.01, 0.02).label == f"{name}(smoothing=0.01, ridge=0.02)"
    assert make(ridge=1).label == f"{name}(ridge=1.0)"


@pytest.mark.parametrize("prior", [orientations(0.01), colours(0, 1e-3, True), union(0.1234567891, 2), l1()])
def test_a_label_makes_its_value_again(prior):
    made = parse_call(prior.label, PRIORS, "penalty")
    assert made == pickle.loads(pickle.dumps(prior)) == prior
    assert len({prior, made}) == 1


@pytest.mark.parametrize("make", [orientations, colours, orientations_colours, union])
@pytest.mark.parametrize("bad", [-0.1, float("nan"), float("inf"), True, "0.1", None])
@pytest.mark.parametrize("name", ["smoothing", "ridge"])
def test_a_bad_number_is_refused(make, bad, name):
    with pytest.raises(UserError, match=f"{name} must be a number of at least 0"):
        make(**{name: bad})


def test_what_does_not_fit_gets_a_clear_error():
    with pytest.raises(UserError, match="coupled must be True or False"):
        orientations(coupled=1)
    for prior in (colours(), orientations_colours(coupled=True)):
        with pytest.raises(UserError, match="choose a colour task"):
            prior.build((1, 32, 32))
    with pytest.raises(UserError, match="coupled weights need groups"):
        Penalty("x", 0.0, 0.0, coupled=True)
    with pytest.raises(UserError, match="a union of bases has no groups"):
        replace(orientations(), union=("haar",))
    with pytest.raises(UserError, match="too small for 3 levels of db4"):
        union().build((1, 16, 16))
