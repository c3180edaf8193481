"""C15: the bound is attained, and what falls short of it is noticed."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from theory_checks.claims import c15_conjugate_gradients as c15
from theory_checks.engine import verify_claim


def factors(case, K, indefinite):
    """The error of CG over its bound, for every sample."""
    for error, _, size, kappa, _ in c15._parts(case, K, indefinite, K):
        yield error / (size * c15.chebyshev_factor(kappa, K))


@pytest.mark.parametrize("indefinite", [False, True])
@pytest.mark.parametrize(("K", "L"), [(1, 0.5), (3, 0.9), (8, 0.99)])
def test_the_hardest_adjoint_attains_the_bound(K, L, indefinite):
    spectrum = c15.chebyshev_spectrum(K + 1, L, 3, indefinite, samples=2)
    assert list(factors(c15.hardest(spectrum), K, indefinite)) == pytest.approx([1, 1], abs=1e-8)
    assert max(factors(spectrum, K, indefinite)) < 0.999


@pytest.mark.parametrize("kappa", [1.5, 10.0, 1000.0])
@pytest.mark.parametrize("K", [1, 2, 7])
def test_the_factor_is_sharper_than_the_usual_one(kappa, K):
    q = (math.sqrt(kappa) - 1) / (math.sqrt(kappa) + 1)
    assert c15.chebyshev_factor(kappa, K) == pytest.approx(2 * q**K / (1 + q ** (2 * K)), rel=1e-12)


def test_a_solver_that_stops_a_step_early_is_noticed(monkeypatch):
    right = c15.conjugate_gradients
    monkeypatch.setattr(
        c15, "conjugate_gradients", lambda case, K: right(case, K - 1) if K > 1 else right(case, K)
    )
    claim = replace(c15.CLAIM, sides=c15._sides)
    assert verify_claim(claim, 20).verdict == "FAILS"
