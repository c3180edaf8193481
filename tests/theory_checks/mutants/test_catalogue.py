"""Every mutant is caught, and leaves nothing behind."""

from __future__ import annotations

import pytest

from solvers import FixedSteps
from theory_checks.claims import CLAIMS
from theory_checks.engine.claim_runner import verify_claim
from theory_checks.mutants.catalogue import MUTANTS
from theory_checks.selection import check_mutant

RIGHT = FixedSteps.__call__


@pytest.mark.parametrize(
    "name",
    [
        "K+1 recorded layers",
        "J in place of Jᵀ",
        "weights stale after a step",
        "the threshold forgets τ",
        "certificate without the change of J",
        "regularity that ignores the kinks",
        "a third of every change of the derivatives",
        "an absolute tolerance in the loop",
        "certified's goal without 1/(1 + ρ)",
        "picks the wrong samples",
        "shares that are whole",
    ],
)
def test_a_mutant_is_caught_and_leaves_nothing_behind(name):
    mutant = next(m for m in MUTANTS if m.name == name)
    assert check_mutant(mutant).caught
    assert verify_claim(CLAIMS["C3"], 10).verdict == "holds"
    assert FixedSteps.__call__ is RIGHT


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.name)
def test_every_mutant_is_caught(mutant):
    assert check_mutant(mutant).caught
