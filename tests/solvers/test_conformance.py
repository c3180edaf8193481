"""Every solver of the roster passes every check; a biased one fails the oracle, strictly and with its reason."""

from __future__ import annotations

from pathlib import Path

import pytest

import solvers
from solvers import ESTIMATORS, Solver
from solvers.conformance import (
    CHECKS,
    Contraction,
    agrees_with_closed_form,
    agrees_with_oracle,
    dense_oracle,
    gradient_of,
    relative_error,
    start,
)


def matrix():
    for name, estimator in ESTIMATORS.items():
        for check in CHECKS:
            biased = check is agrees_with_oracle and estimator.bias is not None
            biased |= check is agrees_with_closed_form and estimator.damped
            marks = [pytest.mark.xfail(reason=estimator.bias, raises=AssertionError)] if biased else []
            yield pytest.param(estimator.example, check, id=f"{name}-{check.__name__}", marks=marks)


@pytest.mark.parametrize(("solver", "check"), list(matrix()))
def test_conformance(solver: Solver, check):
    check(solver)


@pytest.mark.parametrize("name", [name for name, e in ESTIMATORS.items() if e.deeper is not None])
def test_a_consistent_estimator_tends_to_the_oracle(name: str):
    deeper = ESTIMATORS[name].deeper
    assert deeper is not None
    T = Contraction()
    exact = dense_oracle(T, start(2, 6))
    errors = [relative_error(gradient_of(deeper(n), T, start(2, 6))[0], exact) for n in (1, 4, 16, 96)]
    assert errors[0] > 1e-2, "the shallow one is exact already: the check would show nothing"
    assert errors[0] > errors[1] > errors[2]
    assert errors[-1] < 1e-12


def test_an_estimator_is_biased_or_exact():
    for name, estimator in ESTIMATORS.items():
        assert not (estimator.bias is None and estimator.deeper), f"{name} is exact at any depth"


def test_the_roster_lists_every_estimator_of_the_folder():
    folder = Path(solvers.__file__).parent
    others = {"registry", "audit", "monitor", "reconstructor", "schedule", "warm_starts"}
    others |= {"last_solve", "log_writers", "optim_operator", "solver_text"}
    files = {f.stem for f in folder.glob("*.py") if not f.stem.startswith("_")} - others
    for name in sorted(files - set(ESTIMATORS)):
        pytest.fail(f'solvers/registry.py lacks the line    "{name}": EstimatorSpec({name}, {name}(…)),')
    for name in sorted(set(ESTIMATORS) - files):
        pytest.fail(f"solvers/registry.py lists {name}, but there is no solvers/{name}.py")
    for name, estimator in ESTIMATORS.items():
        assert estimator.make.__name__ == name
        assert estimator.example.label.startswith(name)
