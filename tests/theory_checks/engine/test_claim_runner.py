"""Verdicts on claims: right and false ones, and claims without a negative control."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import strategies as st

from theory_checks.claims import CLAIMS
from theory_checks.engine.claim import Claim
from theory_checks.engine.claim_runner import quantiles, verify_claim
from theory_checks.engine.inequality import Sides
from theory_checks.instances import synthetic

SMALL = Claim(
    id="T",
    statement="x ≤ 10",
    source="here",
    assumptions="none",
    examples=st.tuples(st.integers(0, 10)),
    sides=lambda x: Sides(float(x), 10.0),
    negative_control=lambda x: Sides(float(x), 5.0),
    false_statement="x ≤ 5",
)


def test_a_true_claim_holds_and_is_worst_where_it_is_worst():
    verdict = verify_claim(replace(SMALL, attained=True), 60)
    assert (verdict.verdict, verdict.worst) == ("holds", 1.0)
    assert "refuted by" in verdict.negative_control


def test_a_false_claim_fails_with_its_smallest_example():
    verdict = verify_claim(replace(SMALL, sides=SMALL.negative_control), 60)
    assert verdict.verdict == "FAILS"
    assert verdict.detail.startswith("(6,): 6 > 5")


def test_a_claim_whose_check_raises_fails_with_its_example():
    def sides(n):
        raise RuntimeError("no\nluck")

    verdict = verify_claim(replace(SMALL, sides=sides), 60)
    assert verdict.verdict == "FAILS"
    assert "RuntimeError: no luck" in verdict.detail
    with pytest.raises(RuntimeError, match="luck"):  # a negative control must be refuted by its numbers
        verify_claim(replace(SMALL, negative_control=sides), 60)


def test_a_claim_whose_negative_control_is_not_refuted_does_not_hold():
    assert (
        verify_claim(replace(SMALL, negative_control=SMALL.sides), 60).verdict
        == "negative control not refuted"
    )


def test_a_claim_that_should_be_sharp_and_is_not_does_not_hold():
    loose = replace(SMALL, attained=True, sides=lambda x: Sides(float(x), 30.0))
    assert verify_claim(loose, 60).verdict == "not sharp"


def test_outside_the_assumptions_nothing_holds():
    verdict = verify_claim(replace(SMALL, outside=lambda x: "too small a world"), 20)
    assert verdict.verdict == "assumption not met"
    assert (verdict.examples, verdict.reason) == (0, "too small a world")


def test_a_case_that_does_not_contract_never_holds():
    wide = st.tuples(
        st.builds(synthetic.isotropic, st.integers(1, 3), st.sampled_from((1.0, 1.5)), synthetic.seeds)
    )
    verdict = verify_claim(replace(CLAIMS["C1"], examples=wide), 10)
    assert (verdict.verdict, verdict.examples) == ("assumption not met", 0)
    assert "is not below 1" in verdict.reason


def test_a_bound_is_said_to_exaggerate_by_how_much():
    verdict = verify_claim(replace(SMALL, sides=lambda x: Sides(float(x), 20.0, 15.0 if x > 5 else 50.0)), 60)
    assert (verdict.worst, verdict.median, verdict.ninetieth) == (0.5, 20 / 6, 20.0)
    assert verdict.spread["10"] == (1, 2.0, 2.0)
    assert verdict.spread["bound < scale"] == (5, 20 / 3, 20.0)
    assert quantiles([float(i) for i in range(1, 12)]) == (6.0, 10.0)


NARROW = replace(
    SMALL,
    examples=st.tuples(st.integers(0, 10**6)),
    sides=lambda x: Sides(1 / (1 + abs(x - 712_345) / 100), 1.0),
    negative_control=lambda x: Sides(1.0, 0.5),
)
"""The ratio is above a half on a five-thousandth of the examples."""


def test_a_search_climbs_to_a_ratio_that_draws_miss():
    drawn, searched = verify_claim(NARROW, 300), verify_claim(NARROW, 300, climb=True)
    assert drawn.worst < 0.5 < 0.9 < searched.worst
    assert drawn.worst_by_family == {}
    assert max(searched.worst_by_family.values()) == searched.worst


def test_a_search_is_among_the_hard_examples():
    hard = replace(SMALL, hard_examples=st.tuples(st.integers(11, 20)))
    assert verify_claim(hard, 60).verdict == "holds"
    assert verify_claim(hard, 60, climb=True).verdict == "FAILS"


@pytest.mark.parametrize("name", ["C4", "C6", "C7"])
def test_bounds_on_crude_gradients_are_attained_on_large_ill_conditioned_examples(name):
    verdict = verify_claim(CLAIMS[name], 100, climb=True)
    assert verdict.verdict == "holds"
    assert max(verdict.worst_by_family[family] for family in ("affine", "symmetric")) > 0.99
    assert max(verdict.worst_by_family[family] for family in ("tanh", "network")) > 0.5
