"""Every mutant is caught, and leaves nothing behind."""

from __future__ import annotations

import inspect

import pytest

from solvers import FixedSteps
from theory_checks.claims import CLAIMS
from theory_checks.engine.claim_runner import verify_claim
from theory_checks.engine.mutation import Mutant, mutant_applied
from theory_checks.mutants.catalogue import MUTANTS
from theory_checks.selection import check_mutant


def patched_values(mutant):
    """The values that a mutant replaces, as they are now."""
    return [inspect.getattr_static(owner, name) for owner, name, _ in mutant.patches]


def unchanged(before, after):
    return all(a is b for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize(
    "name",
    [
        "K+1 recorded layers",
        "J in place of Jᵀ",
        "weights stale after a step",
        "certificate without the change of J",
        "an absolute tolerance in the loop",
        "shares that are whole",
    ],
)
def test_a_mutant_is_caught_and_leaves_nothing_behind(name):
    mutant = next(m for m in MUTANTS if m.name == name)
    before = patched_values(mutant)
    with mutant_applied(mutant):
        assert not unchanged(before, patched_values(mutant))
    assert check_mutant(mutant).caught
    assert unchanged(before, patched_values(mutant))
    assert verify_claim(CLAIMS["C3"], 10).verdict == "holds"


def test_a_mutant_that_no_longer_fits_the_code_leaves_nothing_behind():
    mutant = Mutant("no forward solve", ((FixedSteps, "__call__", None),), ("C3",))
    before = patched_values(mutant)
    with pytest.raises(TypeError):
        check_mutant(mutant)
    assert unchanged(before, patched_values(mutant))


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.name)
def test_every_mutant_is_caught(mutant):
    assert check_mutant(mutant).caught
