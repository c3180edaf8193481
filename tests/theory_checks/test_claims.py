"""The claims, the engine that judges them, and the command; the counter-examples of THEORY as tests."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import strategies as st

import theory_checks.claims
from bench.operators import Penalty
from solvers import Iterate, restarted_jfb, unrolled
from theory_checks import cases, detectors, mutants, real
from theory_checks.__main__ import entry
from theory_checks.claim import Claim, Sides
from theory_checks.claims import ROSTER
from theory_checks.claims.c05_descent import cosine, uphill
from theory_checks.exact import estimate, exact, norm
from theory_checks.operator import WITH_REGULARITY
from theory_checks.roster import MUTANTS, fate_of
from theory_checks.verify import effectivity, holds, quantiles, verify

TEETH = Claim(
    id="T",
    statement="x ≤ 10",
    source="here",
    assumptions="none",
    examples=st.tuples(st.integers(0, 10)),
    sides=lambda x: Sides(float(x), 10.0),
    too_strong=lambda x: Sides(float(x), 5.0),
    twin="x ≤ 5",
)


@pytest.mark.parametrize("claim", ROSTER.values(), ids=ROSTER)
def test_the_claim_holds_and_has_teeth(claim):
    found = verify(claim, 40)
    if found.verdict == "no teeth":  # some twins need as many as tox -e bounds takes
        found = verify(claim, 100)
    assert found.verdict == "holds", found


def test_the_roster_is_the_36_claims_and_the_folder():
    assert list(ROSTER) == [f"C{i}" for i in range(1, 37)]
    files = {int(f.stem[1:3]) for f in Path(theory_checks.claims.__file__).parent.glob("c*.py")}
    assert files == set(range(1, 37))


def test_a_true_claim_holds_and_is_worst_where_it_is_worst():
    found = verify(replace(TEETH, attained=True), 60)
    assert (found.verdict, found.worst) == ("holds", 1.0)
    assert "refuted by" in found.twin


def test_a_false_claim_fails_with_its_smallest_example():
    found = verify(replace(TEETH, sides=TEETH.too_strong), 60)
    assert found.verdict == "FAILS"
    assert found.detail.startswith("(6,): 6 > 5")


def test_a_claim_whose_check_raises_fails_with_its_example():
    def sides(n):
        raise RuntimeError("no\nluck")

    found = verify(replace(TEETH, sides=sides), 60)
    assert found.verdict == "FAILS"
    assert "RuntimeError: no luck" in found.detail
    with pytest.raises(RuntimeError, match="luck"):  # a twin has to be refuted by its numbers
        verify(replace(TEETH, too_strong=sides), 60)


def test_a_claim_without_teeth_does_not_hold():
    assert verify(replace(TEETH, too_strong=TEETH.sides), 60).verdict == "no teeth"


def test_a_claim_that_should_be_sharp_and_is_not_does_not_hold():
    loose = replace(TEETH, attained=True, sides=lambda x: Sides(float(x), 30.0))
    assert verify(loose, 60).verdict == "not sharp"


def test_outside_the_assumptions_nothing_holds():
    found = verify(replace(TEETH, outside=lambda x: "too small a world"), 20)
    assert found.verdict == "assumption not met"
    assert (found.examples, found.reason) == (0, "too small a world")


def test_a_case_that_does_not_contract_never_holds():
    wide = st.tuples(st.builds(cases.isotropic, st.integers(1, 3), st.sampled_from((1.0, 1.5)), cases.seeds))
    found = verify(replace(ROSTER["C1"], examples=wide), 10)
    assert (found.verdict, found.examples) == ("assumption not met", 0)
    assert "is not below 1" in found.reason


def test_a_bound_is_said_to_exaggerate_by_how_much():
    found = verify(replace(TEETH, sides=lambda x: Sides(float(x), 20.0, 15.0 if x > 5 else 50.0)), 60)
    assert (found.worst, found.median, found.ninetieth) == (0.5, 20 / 6, 20.0)
    assert found.spread["10"] == (1, 2.0, 2.0)
    assert found.spread["bound < scale"] == (5, 20 / 3, 20.0)
    assert quantiles([float(i) for i in range(1, 12)]) == (6.0, 10.0)


@pytest.mark.parametrize(
    ("sides", "expected"),
    [
        (Sides(0.0, 1.0), None),
        (Sides(1.0, 0.0), None),
        (Sides(1.0, float("inf")), None),
        (Sides(1e-10, 1.0, 1.0), None),
        (Sides(1e-8, 1e-6, 1.0), 100),
        (Sides(1.0, 2.0, 1.0, first=(1.0, 5.0)), 5),
    ],
)
def test_rounding_and_what_is_not_bounded_exaggerate_nothing(sides, expected):
    assert effectivity(sides, 1e-11) == (None if expected is None else pytest.approx(expected))


def test_what_is_not_finite_is_a_violation():
    assert not holds(Sides(float("nan"), 1.0), 0.0)
    assert not holds(Sides(1.0, float("nan")), 0.0)
    assert not holds(Sides(float("inf"), float("inf")), 0.0)
    assert holds(Sides(1.0, float("inf")), 0.0)


def test_another_dtype_is_an_error():
    case = cases.affine(2, 1, 0.5, 0)
    with pytest.raises(TypeError, match="float64"):
        exact(replace(case, x0=case.x0.float()))


@pytest.mark.parametrize("q", [1e-3, 0.1, 0.5, 0.9])
def test_with_few_parameters_jfb_can_point_uphill_for_every_contraction(q):
    """The counter-example of C5: p < n."""
    assert cosine(uphill(q), 1) == pytest.approx(-1)


def test_a_longer_unrolling_can_be_worse_before_it_is_better():
    """The counter-example of C7: ``T = θx + c`` from a far start."""
    case = cases.scaling(0.9, 0.5, -60.0)
    errors = [norm(estimate(unrolled(K), case) - exact(case).gradient) for K in (1, 5, 10, 100)]
    assert errors[0] < errors[1] < errors[2]
    assert errors[3] < errors[0]


def test_each_restart_multiplies_the_trajectory_term_by_the_same_factor():
    case, K = cases.scaling(0.8, 0.5, 3.0), 3
    limit = estimate(restarted_jfb(K, 0), case, exact(case).x)
    gaps = [norm(estimate(restarted_jfb(K, R), case) - limit) for R in (0, 1, 2)]
    assert gaps[1] / gaps[0] == pytest.approx(0.8**K)
    assert gaps[2] / gaps[1] == pytest.approx(0.8**K)


@pytest.mark.parametrize("build", cases.FAMILIES.values(), ids=cases.FAMILIES)
def test_a_case_prints_as_the_call_that_makes_it(build):
    arguments = {
        "isotropic": (2, 0.5, 7),
        "scaling": (0.5, 2.0, 3.0),
        "network": (2, 0.5, 7),
        "bent": (0.5, 0.5, 1.0),
    }
    case = build(*arguments.get(build.__name__, (2, 1, 0.5, 7)))
    again = eval(repr(case), dict(cases.FAMILIES))
    assert torch.equal(again.x0, case.x0)
    assert torch.equal(again.T(again.x0), case.T(case.x0))


@pytest.mark.parametrize("build", cases.FAMILIES.values(), ids=cases.FAMILIES)
def test_the_constants_of_a_family_are_true(build):
    arguments = {
        "isotropic": (3, 0.8, 1),
        "scaling": (0.8, 2.0, 3.0),
        "network": (3, 0.8, 1),
        "bent": (0.8, 0.5, 1.0),
    }
    case = build(*arguments.get(build.__name__, (3, 2, 0.8, 1)))
    from theory_checks.exact import jacobians

    for seed in range(20):
        n = len(case.x0)
        a, b = 2 * cases.normal(seed, n), 2 * cases.normal(seed + 99, n)
        (Ja, Ba), (Jb, Bb) = jacobians(case, a), jacobians(case, b)
        gap = norm(a - b) * (1 + 1e-12)
        assert norm(Ja) <= case.L * (1 + 1e-12)
        assert norm(Ja - Jb) <= case.M_J * gap + 1e-14
        assert norm(Ba - Bb) <= case.M_B * gap + 1e-14


SOME = {
    "denoising_colour(huber)",
    "deblurring(l1)",
    "deblurring(orientations(smoothing=0.01, ridge=0.02))",
    "denoising_colour(orientations_colours(coupled=True))",
    "deblurring(huber), asymmetric",
}
"""Operators of every verdict; the others are slow, and ``tox -e bounds`` takes all of them, with all claims."""


@pytest.mark.parametrize(
    "task",
    [pytest.param(t, id=t.label, marks=() if t.label in SOME else pytest.mark.slow) for t in real.matrix()],
)
@pytest.mark.parametrize("name", ["C2", "C3", "C18", "C13", "C26", "C27"])
def test_claims_hold_on_real_operators_or_say_why_not(task, name):
    found = real.check(name, task)
    silent = name in WITH_REGULARITY and isinstance(task.prior, Penalty) and task.prior.coupled
    assert found.verdict == (
        "assumption not met" if found.L >= 1 - 1e-9 else "not applicable" if silent else "holds"
    )


def test_a_detector_tells_a_linear_rate_from_a_sublinear_one():
    assert detectors.regime_index(
        lambda x: 0.9 * x + 1, torch.zeros(2, dtype=torch.float64)
    ) == pytest.approx(2, abs=0.1)
    sublinear = detectors.regime_index(lambda x: x - 0.5 * x**3, torch.full((1,), 0.9, dtype=torch.float64))
    assert sublinear == pytest.approx(1, abs=0.1)
    assert detectors.regime_index(lambda x: -x, torch.ones(1, dtype=torch.float64)) == 0


def test_power_iteration_finds_the_norm_and_says_how_well():
    case = cases.affine(4, 1, 0.9, 3)
    found = detectors.jacobian_norm(case.T, case.x0, 400)
    assert found.value == pytest.approx(0.9, rel=1e-9)
    assert found.residual < 1e-8


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
    assert fate_of(mutant).caught
    assert verify(ROSTER["C3"], 10).verdict == "holds"
    assert Iterate.__call__ is mutants.ITERATE


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.name)
def test_every_mutant_is_caught(mutant):
    assert fate_of(mutant).caught


@pytest.fixture
def two_operators(monkeypatch):
    """Those of the benchmark have tests of their own, each."""
    operators = real.matrix()[:2]
    monkeypatch.setattr(real, "matrix", lambda: operators)


@pytest.mark.usefixtures("two_operators")
def test_the_command_prints_verdicts_and_writes_tables(tmp_path, capsys):
    assert entry(["verify", "--claims", "C3, C4", "--examples", "20", "--out", str(tmp_path / "out")]) == 0
    out = capsys.readouterr().out
    assert "C3" in out
    assert "holds" in out
    for name in (
        "verdicts.md",
        "verdicts.tex",
        "verdicts.json",
        "references.bib",
        "error-against-bound.png",
        "error-against-bound.pdf",
        "error-against-bound.svg",
    ):
        assert (tmp_path / "out" / name).stat().st_size > 200


@pytest.mark.usefixtures("two_operators")
def test_the_command_speaks_json(capsys):
    assert entry(["verify", "--claims", "C4", "--examples", "10", "--json"]) == 0
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    (verdict,) = found["claims"]
    assert {f["claim"] for f in found["operators"]} == {"C4"}
    assert (verdict["id"], verdict["verdict"], verdict["examples"]) == ("C4", "holds", 10)
    assert captured.err == ""


@pytest.mark.usefixtures("two_operators")
def test_a_failing_claim_is_exit_code_1(monkeypatch, capsys):
    monkeypatch.setitem(ROSTER, "C4", replace(ROSTER["C4"], sides=ROSTER["C4"].too_strong))
    assert entry(["verify", "--claims", "C4", "--examples", "10"]) == 1
    assert "FAILS" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["verify", "--claims", "C99"], "unknown claim 'C99'"),
        (["verify", "--claims", ","], "names no claim"),
        (["verify", "--examples", "0"], "examples"),
        (["verify", "--examples", "many"], "examples"),
        (["verify", "--out", "FILE"], "is a file"),
    ],
)
def test_bad_arguments_are_one_line_and_exit_code_2(words, message, tmp_path, capsys):
    (tmp_path / "FILE").write_text("x")
    assert entry([str(tmp_path / "FILE") if w == "FILE" else w for w in words]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert message in captured.err


def test_peers_are_right_when_their_budgets_allow_and_an_absolute_tolerance_shows():
    from bench.peers import torchdeq_ift

    case = cases.affine(3, 2, 0.5, 0)
    scaled = replace(case, loss=replace(case.loss, q=1e-4 * case.loss.q, M=1e-4 * case.loss.M))
    wanted = exact(case).gradient
    right = torchdeq_ift(500, 500, tol=1e-13, tol_backward=1e-13)
    assert norm(estimate(right, case) - wanted) < 1e-9 * norm(wanted)
    loose = torchdeq_ift(100, 100, tol=1e-4, tol_backward=1e-4)
    off = norm(estimate(loose, scaled) / 1e-4 - wanted) / norm(wanted)
    assert off > 10 * norm(estimate(loose, case) - wanted) / norm(wanted)
