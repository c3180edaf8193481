"""The claims on splittings, what each of their parts says alone, and the wrong operators that they notice."""

from __future__ import annotations

import math

import pytest
import torch

from bench.operators import SPLITTINGS, data_fidelity, douglas_rachford
from bench.operators.douglas_rachford import best_gamma, best_gamma_at_depth, reflection_factor
from theory_checks.claims.c37_splittings import CLAIM as C37
from theory_checks.claims.c37_splittings import same_equilibrium
from theory_checks.claims.c41_plug_and_play_splitting import (
    LinearDenoiser,
    _sides,
    along_eigenvector,
    attained_factor,
    published_factor,
)
from theory_checks.engine.inequality import holds, side_ratio
from theory_checks.instances.splittings import (
    SplitSpec,
    TrivialPenalty,
    averaged,
    build_split,
    curvatures,
    reflection,
    union_penalty,
    why_refused,
)
from theory_checks.instances.variational import (
    Acquisition,
    GaussianBlur,
    Identity,
    LostPixels,
    acquire,
    elastic_net_penalty,
    huber_penalty,
)
from theory_checks.mutants.splittings import SPLITTING_MUTANTS
from theory_checks.selection import check_mutant

BLUR, MASK = Acquisition(GaussianBlur(1.0), 0, 3), Acquisition(LostPixels(0.5), 1, 4)
SLOW = {"a union whose states are all analyses of images", "derivative bounds without 2α"}
"""The first is noticed on a few examples only, the second on the operators of the benchmark."""


@pytest.mark.parametrize("name", SPLITTINGS)
@pytest.mark.parametrize(
    "problem",
    [(BLUR, huber_penalty(0.02, 0.5, 2, 0.01)), (MASK, union_penalty(0.02, 0.5, 0.0))],
    ids=["blur", "mask"],
)
def test_c37_holds_for_the_splittings_that_say_so_and_for_no_others(name, problem):
    splitting = SPLITTINGS[name]()
    assert holds(same_equilibrium(SplitSpec(*problem, splitting)), C37.rounding) == splitting.same_equilibrium


def test_an_alpha_beyond_its_limit_is_outside_c37():
    spec = SplitSpec(BLUR, elastic_net_penalty(0.02, 0.1, 1), douglas_rachford(1.1, 10.0))
    assert "must lie below" in str(C37.outside(spec))


@pytest.mark.parametrize("scale", [0.1, 1.0, 10.0])
def test_t_alpha_contracts_below_its_limit_and_is_refused_beyond(scale):
    for share in (0.05, 0.5, 0.999):
        assert build_split(averaged(BLUR, TrivialPenalty(True, 0.1), scale, share)).L < 1
    assert why_refused(averaged(BLUR, TrivialPenalty(True, 0.1), scale, 1.001)) is not None


@pytest.mark.parametrize(
    "penalty", [huber_penalty(0.02, 0.1, 2, 0.01), union_penalty(0.02, 0.1, 0.0)], ids=str
)
def test_the_bound_on_the_image_of_a_state_is_its_norm(penalty):
    """Certificates of a loss of the image use it."""
    built = build_split(averaged(BLUR, penalty, 1.0, 0.5))
    z = built.operator.start(built.data.x0)
    J = torch.func.jacrev(lambda z: built.image(z.view(1, -1, 16, 16)).flatten())(z.flatten())
    bound = built.operator.image_bound((built.data.alpha, built.data.beta))
    norm = float(torch.linalg.matrix_norm(J.detach(), 2)) ** 2
    if penalty.union:  # the bound counts states that no image has, whose image is 0
        assert norm <= bound
    else:
        assert norm == pytest.approx(bound)


def test_the_prox_of_the_data_term_of_the_identity_is_exact_in_float64():
    data = acquire(Acquisition(Identity(), 0, 0))
    assert data_fidelity(data.y, data.physics).normal.power.dtype == torch.float32  # deepinv's own
    gamma, ridge = 0.3, 0.1
    reflected = reflection(data, ridge, gamma)(data.truth)
    expected = 2 * (data.truth + gamma * (data.y + ridge / 2)) / (1 + gamma * (1 + ridge)) - data.truth
    torch.testing.assert_close(reflected, expected, rtol=1e-14, atol=1e-14)


# --- plug-and-play

EPSILONS = (0.0, 0.02, 0.1, 0.3, 0.5, 0.7, 0.95)
STRENGTHS = [math.exp(k / 8) for k in range(-40, 41)]


@pytest.mark.parametrize("epsilon", EPSILONS)
def test_the_attained_factor_is_at_most_the_published_one_and_equal_without_a_residual(epsilon):
    for m in STRENGTHS:
        attained, published = attained_factor(epsilon, m), published_factor(epsilon, m)
        assert along_eigenvector(epsilon, m) * (1 - 1e-15) <= attained <= published * (1 + 1e-15)
        if epsilon == 0:
            assert attained == pytest.approx(1 / (1 + m))


@pytest.mark.parametrize("epsilon", [e for e in EPSILONS if e > 0])
def test_both_factors_are_below_one_exactly_in_their_windows(epsilon):
    sharp = epsilon / (1 + epsilon) if epsilon <= 0.5 else 1 / (4 * (1 - epsilon**2))
    for m in STRENGTHS:
        assert (published_factor(epsilon, m) < 1) == (m > epsilon / ((1 + 2 * epsilon) * (1 - epsilon)))
        assert (attained_factor(epsilon, m) < 1) == (m > sharp)


@pytest.mark.parametrize("m", [0.05, 0.7, 1.0, 1.5, 5.0])
@pytest.mark.parametrize("epsilon", [0.02, 0.5, 0.8])
def test_the_sharper_factor_of_plug_and_play_is_attained_and_the_published_one_is_not(epsilon, m):
    worst = LinearDenoiser(4, epsilon, m, 1, True)
    assert side_ratio(_sides(worst, 1, attained_factor(epsilon, m)), 1e-11) == pytest.approx(1, abs=1e-12)
    if epsilon >= 0.5 and 0.7 <= m <= 1.5:
        assert side_ratio(_sides(worst, 1, published_factor(epsilon, m)), 1e-11) < 0.96


# --- the γ of a depth


@pytest.mark.parametrize("acquisition", [BLUR, MASK], ids=["blur", "mask"])
def test_the_gamma_of_a_depth_tends_to_the_best_for_the_worst_error(acquisition):
    data = acquire(acquisition)
    values = data.eigenvalues().flatten() + 0.1
    extremes = curvatures(data, 0.1)
    star, n = best_gamma(extremes), len(values)
    least, gaps = reflection_factor(extremes, star), []
    for depth in (30, 300, 3000):
        bound = n ** (1 / (2 * depth)) * least
        gaps.append(abs(math.log(best_gamma_at_depth(values, depth) / star)))
        assert gaps[-1] <= 2 * (math.atanh(bound) - math.atanh(least)) + 1e-4
    assert gaps[2] < 0.01


def test_the_gamma_of_a_depth_is_not_that_of_a_local_minimum():
    values = torch.tensor([0.001, *[0.011] * 5, *[1.0] * 13], dtype=torch.float64)
    scaled = best_gamma_at_depth(values, 1) * values
    assert float(((1 - scaled) / (1 + scaled)).square().mean().sqrt()) < 0.552  # 0.83 in the other minimum


# --- wrong operators


@pytest.mark.parametrize(
    "wrong",
    [pytest.param(m, id=m.name, marks=pytest.mark.slow if m.name in SLOW else ()) for m in SPLITTING_MUTANTS],
)
def test_every_claim_that_is_expected_to_notice_a_wrong_splitting_does(wrong):
    assert set(check_mutant(wrong).caught) == set(wrong.claims)
