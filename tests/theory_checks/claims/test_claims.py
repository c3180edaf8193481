"""Every claim holds, and the counter-examples of THEORY."""

from __future__ import annotations

from pathlib import Path

import pytest

import theory_checks.claims
from solvers import restarted_jfb, unrolled
from theory_checks.claims import CLAIMS
from theory_checks.claims.c05_descent import cosine, uphill
from theory_checks.engine.claim_runner import verify_claim
from theory_checks.engine.verdict import CONTROL_NOT_REFUTED, NOT_SHARP
from theory_checks.instances import synthetic
from theory_checks.instances.exact import solve_exactly, solver_gradient, two_norm


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)
def test_the_claim_holds_and_its_negative_control_is_refuted(claim):
    verdict = verify_claim(claim, 10)
    if verdict.verdict in (
        CONTROL_NOT_REFUTED,
        NOT_SHARP,
    ):  # some need as many examples as tox -e bounds draws
        verdict = verify_claim(claim, 100)
    assert verdict.verdict == "holds", verdict


def test_the_claims_are_the_48_files_of_the_folder():
    assert list(CLAIMS) == [f"C{i}" for i in range(1, 49)]
    files = {int(f.stem[1:3]) for f in Path(theory_checks.claims.__file__).parent.glob("c[0-9]*.py")}
    assert files == set(range(1, 49))


@pytest.mark.parametrize("q", [1e-3, 0.1, 0.5, 0.9])
def test_with_few_parameters_jfb_can_point_uphill_for_every_contraction(q):
    """The counter-example of C5: p < n."""
    assert cosine(uphill(q), 1) == pytest.approx(-1)


def test_a_longer_unrolling_can_be_worse_before_it_is_better():
    """The counter-example of C7: ``T = θx + c`` from a far start."""
    case = synthetic.scaling(0.9, 0.5, -60.0)
    errors = [
        two_norm(solver_gradient(unrolled(K), case) - solve_exactly(case).gradient) for K in (1, 5, 10, 100)
    ]
    assert errors[0] < errors[1] < errors[2]
    assert errors[3] < errors[0]


def test_each_restart_multiplies_the_trajectory_term_by_the_same_factor():
    case, K = synthetic.scaling(0.8, 0.5, 3.0), 3
    limit = solver_gradient(restarted_jfb(K, 0), case, solve_exactly(case).x)
    gaps = [two_norm(solver_gradient(restarted_jfb(K, R), case) - limit) for R in (0, 1, 2)]
    assert gaps[1] / gaps[0] == pytest.approx(0.8**K)
    assert gaps[2] / gaps[1] == pytest.approx(0.8**K)
