"""Douglas–Rachford, Peaceman–Rachford and what lies between: equilibria, factors and the choice of γ, in float64."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.operators import (
    admm,
    data_fidelity,
    douglas_rachford,
    forward_backward,
    half_quadratic,
    peaceman_rachford,
)
from bench.operators.douglas_rachford import (
    FLATTEST,
    best_gamma,
    best_gamma_at_depth,
    reflection_factor,
)
from bench.operators.normal import normal_operator
from bench.penalties import huber, l1, union
from bench.utils.errors import UserError
from tests.helpers.penalties import dense
from tests.helpers.splittings import (
    PENALTIES,
    PHYSICS,
    SHAPE,
    blur,
    equilibrium,
    lost,
    measured,
    operator_of,
    small,
)
from tests.helpers.tensors import F64, draw

EVERY = [
    douglas_rachford(),
    peaceman_rachford(),
    douglas_rachford(0.8, 0.5),
    douglas_rachford(0.3, 5.0),
    peaceman_rachford(depth=10),
    admm(2.0),
]
physics_of = pytest.mark.parametrize("physics", PHYSICS)


def spectrum(physics):
    values = normal_operator(physics).eigenvalues()
    return float(values.min()), float(values.max())


@physics_of
@pytest.mark.parametrize("penalty", PENALTIES, ids=lambda p: p.label)
def test_its_equilibrium_has_the_image_of_forward_backwards(penalty, physics):
    made = PHYSICS[physics]()
    y = measured(made)
    expected = equilibrium(operator_of(forward_backward(), penalty, made), y, made)
    turn = PENALTIES.index(penalty) + list(PHYSICS).index(physics)
    for splitting in (EVERY[turn % 6], EVERY[(turn + 3) % 6]):
        assert splitting.same_equilibrium
        found = equilibrium(operator_of(splitting, penalty, made), y, made)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)


@settings(max_examples=40)
@given(
    penalty=st.sampled_from(PENALTIES),
    physics=st.sampled_from(list(PHYSICS)),
    gamma=st.sampled_from((0.1, 1.0, 7.0)),
    alpha=st.sampled_from((0.2, 0.5, 1.0)),
    seed=st.integers(0, 10_000),
)
def test_no_two_states_leave_its_factor(penalty, physics, gamma, alpha, seed):
    made = PHYSICS[physics]()
    operator = operator_of(douglas_rachford(alpha, gamma), penalty, made, seed)
    T = operator.bind(measured(made), made)
    x = operator.start(draw(seed, 2, *SHAPE)).detach()
    factor = operator.contraction(spectrum(made))
    for size in (1e-3, 1.0):
        u = draw(seed + 1, *x.shape)
        for _ in range(4):  # along the state that grew fastest
            u = size * u / u.norm()
            with torch.no_grad():
                moved = T(x + u) - T(x)
            assert moved.norm() <= factor * size * (1 + 1e-12)
            u = moved


@pytest.mark.parametrize("alpha", [0.3, 0.5, 1.0])
@pytest.mark.parametrize("penalty", [huber(0.05, 0.2), union(0.05, 0.2)], ids=lambda p: p.label)
@pytest.mark.parametrize("make", [blur, lost])
def test_its_factor_is_attained_where_the_penalty_is_linear(make, penalty, alpha):
    """Without weights R_g is the identity; the least curvature decides, which is the ridge at what is lost."""
    physics = make()
    operator = operator_of(douglas_rachford(alpha), penalty, physics)
    operator.prior.log_weights.data.fill_(-800.0)
    at = operator.start(draw(0, 1, *SHAPE)).detach()
    J = dense(operator.bind(measured(physics)[:1], physics), at.shape, at)
    norm = float(torch.linalg.matrix_norm(J, ord=2))
    assert operator.contraction(spectrum(physics)) == pytest.approx(norm, rel=1e-10)
    assert norm < 1


@pytest.mark.parametrize("penalty", [huber(0.05, 0.2), union(0.05, 0.2)], ids=lambda p: p.label)
@pytest.mark.parametrize("splitting", [douglas_rachford(0.7, 2.0), half_quadratic()], ids=lambda s: s.label)
@pytest.mark.parametrize("make", [blur, lost])
def test_the_bound_on_the_image_is_its_norm(make, splitting, penalty):
    physics = make()
    operator = operator_of(splitting, penalty, physics)
    data = data_fidelity(measured(physics)[:1], physics)
    at = operator.start(draw(0, 1, *SHAPE)).detach()
    norm = float(torch.linalg.matrix_norm(dense(lambda s: operator.image(s, data), at.shape, at), ord=2))
    least, largest = spectrum(physics)
    if splitting == half_quadratic() or not penalty.union:
        assert operator.image_bound((least, largest)) == pytest.approx(norm**2, rel=1e-10)
    # The image of a union is that of the part of a state that the data term meets, whose least curvature is larger.
    assert norm**2 <= operator.image_bound((least, largest)) * (1 + 1e-12)


def test_its_factor_is_that_of_the_paper_at_the_best_step():
    """``(√κ − 1)/(√κ + 1)`` for α = 1, κ = (1 + ε)/ε, against forward–backward's 1/(1 + ε)."""
    physics = lost()
    operator = operator_of(peaceman_rachford(), huber(0.01, 0.02), physics)
    root = math.sqrt(51)
    assert operator.contraction((0.0, 1.0)) == pytest.approx((root - 1) / (root + 1))
    half = operator_of(douglas_rachford(), huber(0.01, 0.02), physics)
    assert half.contraction((0.0, 1.0)) == pytest.approx(root / (root + 1))


@physics_of
@pytest.mark.parametrize("penalty", [huber(0.05, 0.2), union(0.0, 0.2), union(), PENALTIES[-1]], ids=str)
def test_it_is_the_average_of_the_reflections(penalty, physics):
    made = PHYSICS[physics]()
    y = measured(made)
    operator = operator_of(douglas_rachford(0.7, 1.3), penalty, made)
    T, prior = operator.bind(y, made), operator.prior
    z = operator.start(draw(4, 2, *SHAPE)).detach()
    with torch.no_grad():
        x = operator.data_prox(z, T.data)
        # Optimality: z − x = γ ∇f(x).
        slope = -prior.synthesis_adjoint(T.data.descent(prior.image(x)))
        slope = slope + operator.ridge * (x - prior.grey())
        torch.testing.assert_close(z - x, 1.3 * slope, rtol=0, atol=1e-13)
        reflected = 2 * x - z
        reflected = 2 * prior.prox(reflected, operator.step()) - reflected
        torch.testing.assert_close(T(z), 0.3 * z + 0.7 * reflected, rtol=0, atol=1e-13)
        torch.testing.assert_close(T.image(z), prior.image(x), rtol=0, atol=0)
    # The ridge has moved from g into f.
    assert (operator.ridge, prior.ridge) == (penalty.ridge, 0.0)


def test_scaled_admm_makes_the_same_iterates():
    """g first: ``v = prox_{g/ρ}(x − u)``, ``x = prox_{f/ρ}(v + u)``, ``u += v − x``; the state is ``v + u``."""
    physics, rho = blur(), 0.4
    y = measured(physics)
    operator = operator_of(admm(rho), huber(0.05, 0.2), physics)
    T, step = operator.bind(y, physics), torch.tensor(1 / rho, dtype=F64)
    K = dense(physics.A, (1, *SHAPE))
    solve = torch.linalg.inv(K.mT @ K + (0.2 + rho) * torch.eye(K.shape[1], dtype=F64))
    z = draw(5, 2, *SHAPE)
    v, u = z.clone(), torch.zeros_like(z)
    with torch.no_grad():
        for _ in range(6):
            right = physics.A_adjoint(y) + 0.2 * 0.5 + rho * (v + u)
            x = (right.flatten(1) @ solve.mT).view_as(z)
            torch.testing.assert_close(T.image(z), x, rtol=0, atol=1e-12)
            u = u + v - x
            v = operator.prior.prox(x - u, step)
            z = T(z)
            torch.testing.assert_close(z, v + u, rtol=0, atol=1e-12)


def curvatures(seed):
    return draw(seed, 200).exp().clamp(0.02, 2.0)


def test_the_step_of_the_least_factor_is_the_least_on_a_grid():
    for extremes in ((0.02, 1.02), (0.1, 5.0), (1.0, 1.0)):
        gamma = best_gamma(extremes)
        best = reflection_factor(extremes, gamma)
        assert all(best <= reflection_factor(extremes, gamma * math.exp(k / 50)) for k in range(-200, 201))


@pytest.mark.parametrize("depth", [1, 10, 1000])
def test_the_step_of_a_depth_is_the_least_on_a_grid(depth):
    values = curvatures(1)

    def size(gamma):
        return float(
            torch.logsumexp(2 * depth * ((1 - gamma * values) / (1 + gamma * values)).abs().log(), 0)
        )

    found = best_gamma_at_depth(values, depth)
    grid = torch.logspace(math.log10(1 / 2.0), math.log10(1 / 0.02), 400, dtype=F64)
    assert size(found) <= min(size(float(gamma)) for gamma in grid) + 1e-6 * depth


def test_the_step_of_a_depth_tends_to_that_of_the_least_factor():
    values = curvatures(1)
    extremes = float(values.min()), float(values.max())
    gaps = [
        abs(math.log(best_gamma_at_depth(values, K) / best_gamma(extremes))) for K in (1, 10, 100, 10_000)
    ]
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[-1] < 0.01
    # A single value has one step, at which R_f vanishes.
    assert best_gamma_at_depth(torch.full((3,), 0.5, dtype=F64), 5) == pytest.approx(2.0)


def test_curvatures_count_as_often_as_states_have_them():
    """Of two bases half of the states are no analysis of an image, and meet the ridge alone."""
    for penalty, gamma in ((l1(), None), (small(union(0.0, 0.2)), 0.2)):
        operator = operator_of(peaceman_rachford(depth=3), penalty, blur())
        values = normal_operator(blur()).eigenvalues()
        if gamma is not None:
            values = torch.cat((values, torch.zeros_like(values)))
        values = (values + penalty.ridge).clamp_min(FLATTEST * float(values.max() + penalty.ridge))
        assert operator.gamma == pytest.approx(best_gamma_at_depth(values, 3))


def test_a_flat_data_term_has_a_step_too():
    """Lost pixels without a ridge: σ = 0, and γ* would be infinite."""
    operator = operator_of(douglas_rachford(), l1(), lost())
    assert operator.gamma == pytest.approx(1 / math.sqrt(FLATTEST))
    assert operator.contraction((0.0, 1.0)) == 1.0


def test_laws():
    assert peaceman_rachford() == douglas_rachford(1.0)
    assert peaceman_rachford().label == douglas_rachford(1.0).label == "peaceman_rachford"
    assert admm(0.5) == douglas_rachford(gamma=2)
    assert admm() == douglas_rachford()
    assert peaceman_rachford(depth=10) == douglas_rachford(1.0, depth=10)
    assert len({douglas_rachford(), douglas_rachford(0.5), admm(), peaceman_rachford()}) == 2
    assert douglas_rachford(gamma=1.0) != douglas_rachford()
    assert douglas_rachford(depth=1) != douglas_rachford()


def test_an_alpha_beyond_its_limit_is_refused():
    """The limit is ``2/(1 + δ)``; at δ = 1 only α ≤ 1 is left."""
    limit = 2 / (1 + reflection_factor((0.2, 1.2), 1.0))
    operator = operator_of(douglas_rachford(limit - 1e-9, 1.0), huber(0.05, 0.2), lost())
    assert operator.contraction((0.0, 1.0)) < 1
    with pytest.raises(UserError, match=r"alpha must lie below 2/\(1 \+ δ\) = 1\.2 for huber"):
        operator_of(douglas_rachford(limit, 1.0), huber(0.05, 0.2), lost())
    operator_of(peaceman_rachford(), l1(), lost())
    with pytest.raises(UserError, match="= 1 for l1"):
        operator_of(douglas_rachford(1.01), l1(), lost())
