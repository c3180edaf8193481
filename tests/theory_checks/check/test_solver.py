"""Checks of solvers: what they say of wrong ones, and nothing of right ones."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial

import pytest
import torch
from hypothesis import given

from bench.utils.provenance import ROOT
from solvers import (
    ESTIMATORS,
    GMRES,
    FixedPoint,
    FixedSteps,
    ImplicitDifferentiation,
    Picard,
    Solution,
    Solver,
    SolveReport,
    TruncatedBackprop,
    conformance,
    deq,
    restarted_jfb,
)
from tests.helpers.wrong_solvers import WrongSign
from theory_checks.check.command import resolve_call, run_checks
from theory_checks.check.outcome import CheckOutcome, run_check
from theory_checks.check.sample_independence import stops_each_sample_alone
from theory_checks.check.solver import check_solver
from theory_checks.instances.synthetic import affine, contractions

EXAMPLES = ROOT / "docs" / "examples"


def faults(some: Iterable[CheckOutcome]) -> dict[str, str]:
    return {one.check: one.words for one in some if one.wrong}


SOME = ("unrolled", "restarted_jfb", "deq", "checkpointed")
"""tests/solvers/test_conformance.py puts all of them through the same checks."""


@pytest.mark.filterwarnings("ignore::solvers.StagnationWarning")  # 1e-10 is asked for, whatever can be had
@pytest.mark.parametrize(
    "name",
    [name if name in SOME else pytest.param(name, marks=pytest.mark.slow) for name in ESTIMATORS],
)
def test_no_solver_of_the_roster_is_called_wrong(name):
    some = check_solver(ESTIMATORS[name].example)
    assert not faults(some)
    notes = {one.check for one in some if one.verdict == "note"}
    assert ("agrees_with_oracle" in notes) == (ESTIMATORS[name].bias is not None)


def test_every_check_of_the_conformance_suite_is_run():
    names = {one.check for one in check_solver(restarted_jfb(3, 10))}
    assert {check.__name__ for check in conformance.CHECKS} <= names


@dataclass(frozen=True)
class Detached:
    def __call__(self, T, at, loss=None):
        y = T(at.x)
        return Solution(y.detach() + 0 * y, at.report, 1)


@dataclass(frozen=True)
class Minus:
    def __call__(self, T, at, loss=None):
        solved = ImplicitDifferentiation(GMRES(1e-12))(T, at)
        return replace(solved, x=2 * solved.x.detach() - solved.x)


@dataclass(frozen=True)
class Half:
    def __call__(self, T, at, loss=None):
        solved = ImplicitDifferentiation(GMRES(1e-12))(T, at)
        return replace(solved, x=0.5 * (solved.x + solved.x.detach()))


@dataclass(frozen=True)
class Uncounted:
    def __call__(self, T, x0):
        at = FixedSteps(300)(T, x0)
        T(at.x)
        return at


@dataclass(frozen=True)
class Tapes:
    def __call__(self, T, at, loss=None):
        with torch.enable_grad():
            return TruncatedBackprop(3)(T, at)


@dataclass(frozen=True)
class InPlace:
    def __call__(self, T, x0):
        for _ in range(300):
            x0.copy_(T(x0))
        return FixedPoint(x0, SolveReport(300))


@dataclass(frozen=True)
class Liar:
    def __call__(self, T, x0):
        at = Picard(1e-3)(T, x0)
        return replace(at, report=replace(at.report, residual=1e-9))


@dataclass(frozen=True)
class Shrinks:
    def __call__(self, T, x0):
        x = x0
        for _ in range(100):
            x = 0.9 * T(x)
        return FixedPoint(x, SolveReport(100))


@dataclass(frozen=True)
class Batchwise:
    tol: float = 1e-3

    def __call__(self, T, x0):
        x, k = x0, 0
        while k < 2000:
            y = T(x)
            k += 1
            if torch.linalg.vector_norm(y - x) < self.tol * torch.linalg.vector_norm(y):
                break
            x = y
        return FixedPoint(x, SolveReport(k))


@dataclass(frozen=True)
class BatchwiseAdjoint:
    tol: float

    def __call__(self, T, v):
        u = v
        while True:
            y = T(u)
            if torch.linalg.vector_norm(y - u) < self.tol * torch.linalg.vector_norm(y):
                return FixedPoint(u, SolveReport(1))
            u = y


@dataclass(frozen=True)
class Raises:
    def __call__(self, T, x0):
        raise RuntimeError("no\nluck")


def local_step(T, x0):
    return FixedSteps(30)(T, x0)


EXACTLY = ImplicitDifferentiation(GMRES(1e-12))


@pytest.mark.parametrize(
    ("solver", "check", "words"),
    [
        (Solver("x", FixedSteps(30), Detached()), "reaches_every_parameter", "look for .detach()"),
        (Solver("x", FixedSteps(300), Minus()), "agrees_with_oracle", "opposite sign of the exact gradient"),
        (
            Solver("x", FixedSteps(300), Minus()),
            "agrees_with_closed_form",
            "opposite sign of the closed form",
        ),
        (
            Solver("x", FixedSteps(300), ImplicitDifferentiation(WrongSign())),
            "agrees_with_oracle",
            "that of u = v − J'u",
        ),
        (Solver("x", FixedSteps(300), Half()), "agrees_with_oracle", "0.5 times the exact one"),
        (Solver("x", Uncounted(), EXACTLY), "counts_truly", "301 applications reported, 302 made"),
        (Solver("x", FixedSteps(30), Tapes()), "leaks_nothing", "a tape was made under no_grad"),
        (Solver("x", InPlace(), EXACTLY), "keeps_shape_and_dtype", "nothing may change x0 in place"),
        (Solver("x", Liar(), EXACTLY), "states_its_own_residual", "but that of the returned point is"),
        (
            Solver("x", Shrinks(), EXACTLY),
            "stays_at_equilibrium",
            "the fixed point of its steps is not that of T",
        ),
        (Solver("x", Raises(), EXACTLY), "counts_truly", "it raises RuntimeError: no luck"),
        (Solver("x", local_step, EXACTLY), "can_be_sent", "make its parts frozen dataclasses"),
        (Solver("x", lambda T, x0: local_step(T, x0), EXACTLY), "can_be_sent", "at the top of the file"),
        (Solver("", FixedSteps(300), EXACTLY), "label", "the label is ''"),
    ],
)
def test_a_wrong_solver_is_told_in_words(solver, check, words):
    assert words in faults(run_checks(solver))[check]


def test_a_right_one_beside_it_is_not():
    assert not faults(run_checks(Solver("x", FixedSteps(300), EXACTLY), within=1e-6))


@pytest.mark.parametrize(
    "tol",
    [
        pytest.param(
            1e-3,
            marks=pytest.mark.misuse(
                "check of a solver that stops on the norm of the whole batch",
                "refused: stop each sample by itself, and take every norm along its own dimensions",
            ),
        ),
        pytest.param(
            1e-13,
            marks=pytest.mark.misuse(
                "check of such a solver at the tight tolerance that the docs name",
                "refused: stop each sample by itself, and take every norm along its own dimensions",
            ),
        ),
        1e-14,
    ],
)
def test_a_stop_on_the_norm_of_the_batch_is_found_at_any_tolerance(tol):
    value = run_check("x", partial(stops_each_sample_alone, Solver("x", Batchwise(tol), EXACTLY)))
    assert value.wrong
    assert "the value of a sample differs" in value.words
    gradient = run_check(
        "x",
        partial(
            stops_each_sample_alone,
            Solver("x", Picard(1e-14), ImplicitDifferentiation(BatchwiseAdjoint(tol))),
        ),
    )
    assert gradient.wrong
    assert "the gradient of a sample differs" in gradient.words


def test_stops_of_each_sample_are_right_whatever_the_tolerance():
    for text in (
        "deq(1e-3)",
        "implicit(picard(1e-13), picard(1e-13))",
        f"{EXAMPLES}/broyden.py:broyden(1e-6)",
    ):
        assert not faults([run_check("x", partial(stops_each_sample_alone, resolve_call(text)))]), text


def test_what_may_be_meant_is_a_note():
    biased = {one.check: one for one in run_checks(restarted_jfb(3, 10))}
    assert "differs from the exact one by 0.0888 %" in biased["agrees_with_oracle"].words
    assert not faults(biased.values())
    assert "more than 1e-06" in faults(run_checks(restarted_jfb(3, 10), within=1e-6))["agrees_with_oracle"]


@pytest.mark.parametrize("call", ["broyden.py:broyden(1e-13)", "broyden.py:Broyden(1e-13)"])
def test_the_solver_of_the_documentation_is_right(call):
    assert not faults(run_checks(resolve_call(f"{EXAMPLES}/{call}"), within=1e-9))


def test_broyden_ends_on_a_linear_map_after_twice_its_dimension():
    """Gay (1979): the good method does so in exact arithmetic. Plain steps would take 200 at L = 0.9."""
    reach = resolve_call(f"{EXAMPLES}/broyden.py:Broyden(1e-9, 200, 20)")
    for seed in range(10):
        case = affine(4, 2, 0.9, seed)
        with torch.no_grad():
            report = reach(case.T, case.x0).report
        assert report.converged
        assert report.applications <= 2 * 4 + 2


@given(case=contractions)
def test_broyden_converges_on_contractions(case):
    reach = resolve_call(f"{EXAMPLES}/broyden.py:Broyden(1e-9, 2000)")
    with torch.no_grad():
        at = reach(case.T, case.x0)
        y = case.T(at.x)
    assert at.report.converged
    assert torch.linalg.vector_norm(y - at.x) <= 1e-9 * torch.linalg.vector_norm(y)


def test_deq_is_exact_on_the_crop_too():
    told = {one.check: one for one in check_solver(deq(1e-13), within=1e-9)}
    assert told["deblurring(huber), 16×16"].verdict == "good"
