"""Exact worst cases: the bounds that they equal, the proofs of their values, and wrong ones that are noticed."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from fractions import Fraction
from functools import partial

import pytest

from tests.helpers.commands import refused
from theory_checks.__main__ import entry
from theory_checks.worst_cases import CASES, NOT_TIGHT, TIGHT, VIOLATED, roster, worst_case
from theory_checks.worst_cases.certificate import Unproven, bound_of, invariance, prove
from theory_checks.worst_cases.models import c09_forward_backward, c38_splittings, c43_primal_dual
from theory_checks.worst_cases.programme import NotRational, exact_fraction, read_programme
from theory_checks.worst_cases.solve import solve

FIRST = tuple({(case.claim, case.quantity): case for case in reversed(CASES)}.values())
"""The first parameters of each bound."""
NOT_ATTAINED = {"C43"}
PAIR = partial(c09_forward_backward.forward_backward, (0.1, 1.0), 1.0, 0.02, 1)
STEP = replace(next(case for case in CASES if case.claim == "C9"), stated=0.9 / 1.02, model=PAIR)


@pytest.mark.parametrize("case", FIRST, ids=lambda case: f"{case.claim} {case.label}")
def test_the_first_parameters_of_each_bound_are_tight_and_proved(case):
    found = worst_case(case)
    assert found.certified, found.reason
    assert found.proven >= found.exact
    if case.claim not in NOT_ATTAINED:
        assert found.verdict == TIGHT


def test_a_sharper_bound_is_violated_and_a_looser_one_is_not_tight():
    assert worst_case(replace(STEP, stated=0.999 * STEP.stated)).verdict == VIOLATED
    assert worst_case(replace(STEP, stated=1.001 * STEP.stated)).verdict == NOT_TIGHT


def test_a_bound_is_violated_outside_its_class():
    wider = partial(c09_forward_backward.forward_backward, (0.05, 1.0), 1.0, 0.02, 1)
    found = worst_case(replace(STEP, model=wider))
    assert found.verdict == VIOLATED
    assert found.exact == pytest.approx(0.95 / 1.02, rel=1e-8)


def test_the_published_factor_of_plug_and_play_splitting_is_not_attained():
    case = next(
        case for case in CASES if case.claim == "C41" and case.parameters == (("ε", 0.1), ("γμ", 0.7))
    )
    published = (1 + 0.1 + 0.1 * 0.7 + 2 * 0.01 * 0.7) / (1 + 0.7 + 2 * 0.1 * 0.7)
    assert worst_case(replace(case, stated=published)).verdict == NOT_TIGHT


def test_peaceman_rachford_and_douglas_rachford_are_proved_at_every_step_that_is_tried():
    found = [worst_case(case) for case in c38_splittings.CASES if dict(case.parameters).get("N") == 1]
    assert len(found) == 12
    assert {worst.verdict for worst in found} == {TIGHT}
    assert all(worst.certified for worst in found)


def test_the_factor_of_a_prox_in_primal_dual_splitting_is_attained_and_a_smaller_one_is_exceeded():
    cases = [case for case in c43_primal_dual.CASES if "prox of f" in case.quantity]
    found = [worst_case(case) for case in cases]
    assert {worst.verdict for worst in found} == {TIGHT}
    assert all(worst.certified for worst in found)
    assert found[0].exact == pytest.approx(1 / (1 + 0.5 * 0.1), rel=1e-6)  # 1/(1 + τμ)
    # The former factor is exceeded nowhere, but attained at τμ = κσ only.
    assert [worst_case(replace(case, stated=_former(case))).verdict for case in cases].count(TIGHT) == 1
    assert worst_case(replace(cases[0], stated=0.999 * cases[0].stated)).verdict == VIOLATED


def _former(case):
    """``1/√(1 + 2 min(τμ, κσ))``."""
    numbers = dict(case.parameters)
    return (1 + 2 * min(numbers["τ"] * numbers["μ"], numbers["σ"] * numbers["κ"])) ** -0.5


def test_a_pair_of_states_has_the_invariances_of_forward_backward():
    programme = read_programme(PAIR())
    directions = invariance(programme)
    # Translations of the state, linear functions in f against g, and the place of the minimiser of g.
    assert (programme.points, len(directions.kept)) == (6, 3)


def test_wrong_multipliers_prove_nothing():
    programme = read_programme(PAIR())
    directions = invariance(programme)
    solution, units = solve(programme, directions.kept)
    assert prove(programme, directions, solution.value, units) >= Fraction(solution.value) * (
        1 - Fraction(1, 10**9)
    )
    smaller = replace(solution, multipliers=tuple(0.999 * value for value in solution.multipliers))
    with pytest.raises(Unproven, match="positive semi-definite"):
        bound_of(programme, directions, smaller)
    none = replace(solution, multipliers=(0.0,) * len(solution.multipliers))
    with pytest.raises(Unproven):
        bound_of(programme, directions, none)


def test_the_value_is_that_of_pepit_itself():
    problem = PAIR()
    square = problem.solve(wrapper="cvxpy", solver="CLARABEL", verbose=0)
    assert worst_case(STEP).exact == pytest.approx(math.sqrt(square), rel=1e-6)


def test_coefficients_are_read_as_fractions():
    assert exact_fraction(1 / (2 * (1 - 0.1))) == Fraction(5, 9)
    assert exact_fraction(0.9**2) == Fraction(81, 100)
    with pytest.raises(NotRational):
        exact_fraction(math.sqrt(2))


def test_the_command_writes_a_table_and_a_figure(tmp_path, capsys):
    assert entry(["worst-cases", "--claims", "C8, C10", "--out", str(tmp_path / "out")]) == 0
    assert "C10" in capsys.readouterr().out
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {f"worst-cases.{suffix}" for suffix in ("csv", "md", "png", "pdf", "svg")}
    assert "VIOLATED" not in (tmp_path / "out" / "worst-cases.csv").read_text()


def test_a_violated_bound_is_exit_code_1(monkeypatch, capsys):
    monkeypatch.setattr(roster, "CASES", (replace(STEP, stated=0.8),))
    assert entry(["worst-cases", "--claims", "C9"]) == 1
    assert "C9 exceeded at" in "".join(capsys.readouterr())


def test_bad_claims_are_one_line(capsys):
    assert "unknown claim with an exact worst case 'C1'" in refused(
        capsys, ["worst-cases", "--claims", "C1"], run=entry
    )
    assert "unknown" in refused(capsys, ["worst-cases", "--claims", ","], run=entry)


def test_a_missing_package_is_one_line(monkeypatch, capsys):
    for name in [name for name in sys.modules if name.startswith(("theory_checks.worst_cases", "PEPit"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "theory_checks.report.worst_case_tables", raising=False)
    monkeypatch.setitem(sys.modules, "PEPit", None)
    assert "pip install --group worst-case" in refused(capsys, ["worst-cases"], run=entry)
