"""The claim on primal–dual splitting, its negative control, and the wrong iterations that are noticed."""

from __future__ import annotations

import math

import pytest
import torch

from bench.penalties import filters, tgv, tv
from theory_checks.claims.c43_primal_dual_factor import CLAIM as C43
from theory_checks.claims.c43_primal_dual_factor import contracts_in, euclidean
from theory_checks.engine.inequality import holds, side_ratio
from theory_checks.instances.primal_dual import (
    PAIRS,
    PrimalDualProblem,
    factor_of,
    operator_of,
    split,
    state_pair,
    weighted_norm,
)
from theory_checks.instances.splittings import build_split
from theory_checks.instances.variational import (
    Acquisition,
    GaussianBlur,
    Identity,
    LostPixels,
    elastic_net_penalty,
    huber_penalty,
)
from theory_checks.mutants.primal_dual import PRIMAL_DUAL_MUTANTS
from theory_checks.selection import check_mutant

BLUR, MASK = Acquisition(GaussianBlur(1.0), 0, 3), Acquisition(LostPixels(0.5), 1, 4)
SAME = Acquisition(Identity(), 0, 0)
PENALTIES = [tv(0.1, 0.1), tgv(0.1, 0.5), filters(3, 3, 0.1, 0.5), huber_penalty(0.02, 0.5, 2, 0.1)]
either = pytest.mark.parametrize("by_prox", [False, True], ids=["condat_vu", "chambolle_pock"])


def built_of(acquisition, penalty, by_prox, scale=1.0):
    return build_split(split(PrimalDualProblem(acquisition, penalty, scale), by_prox))


@either
@pytest.mark.parametrize("scale", [0.3, 1.0, 3.0])
@pytest.mark.parametrize("penalty", PENALTIES, ids=lambda p: p.label)
@pytest.mark.parametrize("acquisition", [BLUR, MASK, SAME], ids=["blur", "mask", "identity"])
def test_c43_holds_on_every_kind_of_pair(acquisition, penalty, scale, by_prox):
    built = built_of(acquisition, penalty, by_prox, scale)
    assert 0 < factor_of(built) < 1
    for pair in PAIRS:
        assert holds(contracts_in(weighted_norm, built, 3, pair, 1, 7), C43.rounding)


@either
def test_sigma_is_scaled_and_the_steps_meet_their_condition(by_prox):
    default, scaled = (built_of(BLUR, filters(8, 3, 0.1, 0.5), by_prox, s) for s in (1.0, 3.0))
    right, steps = operator_of(default).steps(), operator_of(scaled).steps()
    assert steps.sigma == pytest.approx(3 * right.sigma)
    norm_squared = float(operator_of(scaled).penalty.norm_squared())
    if by_prox:
        assert steps.tau * steps.sigma * norm_squared == pytest.approx(0.9)
    else:
        assert 1 / steps.tau - steps.sigma * norm_squared >= (scaled.data.beta + 0.5) / 2


def test_the_factor_of_condat_vu_is_approached_as_g_star_grows_more_convex():
    ratios = []
    for smoothing in (0.1, 1.0, 100.0):
        built = built_of(MASK, tv(smoothing, 0.1), False)
        ratios.append(side_ratio(contracts_in(weighted_norm, built, 1, "mode", 1, 0), C43.rounding))
    assert ratios == sorted(ratios)
    assert ratios[-1] > 0.999
    assert factor_of(built) < 0.85


@either
def test_without_smoothing_the_factor_is_one(by_prox):
    built = built_of(BLUR, elastic_net_penalty(0.02, 0.5, 2), by_prox)
    assert factor_of(built) == 1
    assert holds(contracts_in(weighted_norm, built, 1, "duals", 1, 7), C43.rounding)


@pytest.mark.parametrize(
    ("acquisition", "penalty", "by_prox"),
    [
        (BLUR, tv(10.0, 0.5), False),
        (MASK, tv(10.0, 0.1), False),
        (BLUR, tv(10.0, 0.1), True),
        (MASK, filters(3, 3, 0.1, 0.5), False),
        (MASK, filters(3, 3, 0.1, 0.5), True),
    ],
)
def test_in_the_euclidean_norm_the_dual_moves_the_image_too_far(acquisition, penalty, by_prox):
    sides = contracts_in(euclidean, built_of(acquisition, penalty, by_prox), 1, "duals", 1, 7)
    assert sides.lhs > 1.15 * sides.rhs


@either
def test_pairs_differ_where_they_say(by_prox):
    built = built_of(MASK, tv(0.1, 0.5), by_prox)
    n = operator_of(built).penalty.primal_channels
    for pair, in_image, in_dual in (("mode", True, False), ("images", True, True), ("duals", False, True)):
        a, b = state_pair(built, pair, 2, 7)
        d = b - a
        assert bool(d[:, :n].any()) == in_image
        assert bool(d[:, n:].any()) == in_dual
    a, b = state_pair(built, "mode", 2, 7)
    lost = built.data.eigenvalues() < 0.5
    assert not (b - a)[:, :n][~lost.expand(1, n, -1, -1)].any()
    z = torch.randn(b.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    inner = float((z * operator_of(built).metric(z)).sum())
    assert weighted_norm(built, z) == pytest.approx(math.sqrt(inner))


@pytest.mark.parametrize("wrong", PRIMAL_DUAL_MUTANTS, ids=lambda m: m.name)
def test_every_claim_that_is_expected_to_notice_a_wrong_primal_dual_iteration_does(wrong):
    assert set(check_mutant(wrong).caught) == set(wrong.claims)
