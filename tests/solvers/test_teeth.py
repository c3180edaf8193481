"""Every conformance check turns red on a solver that is wrong in its way; a check that cannot is worth nothing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
import torch

from solvers import (
    FixedPoint,
    FixedSteps,
    ImplicitDifferentiation,
    Solution,
    Solver,
    SolveReport,
    TruncatedBackprop,
    deq,
    restarted_jfb,
    unrolled,
)
from solvers import conformance as c
from tests.helpers.wrong_solvers import WrongSign


def wrap(pull: Callable, reach=FixedSteps(6)) -> Solver:
    return Solver("wrong", reach, pull)


def keeps_double(T, at, loss=None):
    solved = TruncatedBackprop(2)(T, at)
    return replace(solved, x=solved.x.double())


def detached_parameters(T, at, loss=None):
    with torch.no_grad():
        x = T(at.x)
    return Solution(T(x.requires_grad_()).detach() + 0 * sum(p.sum() for p in T.parameters()), at.report, 1)


def one_layer_less_than_said(T, at, loss=None):
    return replace(TruncatedBackprop(2)(T, at), taped_applications=3)


def a_residual_nobody_counted(T, at, loss=None):
    T(at.x)
    return TruncatedBackprop(2)(T, at)


@dataclass(frozen=True)
class Absolute:
    """The Neumann series to an absolute tolerance, as two libraries have it."""

    tol: float = 1e-3

    def __call__(self, T, x0):
        x, steps = x0, 0
        while steps < 500:
            y = T(x)
            steps += 1
            if torch.linalg.vector_norm(y - x) < self.tol:
                break
            x = y
        return FixedPoint(x, SolveReport(steps, 0.0, True))


def one_tolerance_for_all(T, at, loss=None):
    return ImplicitDifferentiation(Absolute(1e-6))(T, at)


def a_hook_that_holds_its_output(T, at, loss=None):
    solved = TruncatedBackprop(2)(T, at)
    solved.x.register_hook(lambda g: g if solved.x is not None else None)
    return solved


def a_global_tape(T, at, loss=None, kept=[]):  # noqa: B006
    solved = TruncatedBackprop(2)(T, at)
    kept.append(solved.x)
    return solved


def tapes_always(T, at, loss=None):
    with torch.enable_grad():
        return TruncatedBackprop(2)(T, at)


def draws_noise(T, at, loss=None):
    return TruncatedBackprop(2)(T, FixedPoint(at.x + 1e-12 * torch.randn_like(at.x), at.report))


def mixes_samples(T, at, loss=None):
    return TruncatedBackprop(2)(T, FixedPoint(at.x.flip(0), at.report))


class Stale:
    """Remembers the point of its first call."""

    def __init__(self):
        self.x = None

    def __call__(self, T, x0):
        self.x = FixedSteps(6)(T, x0).x if self.x is None or self.x.shape != x0.shape else self.x
        return FixedPoint(self.x, SolveReport(6))


def in_place(T, at, loss=None):
    at.x.add_(0)
    return TruncatedBackprop(1)(T, FixedPoint(at.x.mul_(0.5), at.report))


@dataclass(frozen=True)
class WholeBatch:
    """Stops on the norm of the whole batch, at a tolerance as tight as the docs name."""

    tol: float

    def __call__(self, T, x0):
        x, steps, residual = x0, 0, float("inf")
        while steps < 2000 and residual > self.tol:
            y = T(x)
            steps += 1
            residual = float(torch.linalg.vector_norm(y - x) / torch.linalg.vector_norm(y))
            x = y
        return FixedPoint(x, SolveReport(steps, residual, residual <= self.tol))


@dataclass(frozen=True)
class Silent:
    """Gives up on the whole batch where a sample is nan."""

    def __call__(self, T, x0):
        u = FixedSteps(400)(T, x0).x
        return FixedPoint(u if u.isfinite().all() else torch.zeros_like(u), SolveReport(400))


@dataclass(frozen=True)
class RealInner:
    """A step along the residual whose length takes a complex product for a real one."""

    def __call__(self, T, x0):
        x = x0
        for _ in range(6):
            f = T(x) - x
            x = x + f * (1 + 0.1 * (f * f).sum())
        return FixedPoint(x, SolveReport(6))


@dataclass(frozen=True)
class Largest:
    def __call__(self, T, x0):
        y = T(x0)
        float((y - x0).abs().max())
        return FixedPoint(y, SolveReport(1))


@pytest.mark.parametrize(
    ("check", "solver"),
    [
        (c.treats_samples_alone, wrap(ImplicitDifferentiation(FixedSteps(400)), WholeBatch(1e-12))),
        (c.treats_samples_alone, wrap(ImplicitDifferentiation(WholeBatch(1e-12)), FixedSteps(400))),
        (c.treats_samples_alone, wrap(ImplicitDifferentiation(FixedSteps(400)), WholeBatch(1e-15))),
        (c.shows_nan, wrap(ImplicitDifferentiation(Silent()), FixedSteps(400))),
        (c.takes_complex_states, wrap(TruncatedBackprop(2), RealInner())),
        (c.takes_an_empty_batch, wrap(TruncatedBackprop(2), Largest())),
        (c.keeps_shape_and_dtype, wrap(keeps_double)),
        (c.keeps_shape_and_dtype, wrap(in_place, FixedSteps(0))),
        (
            c.reaches_every_parameter,
            wrap(lambda T, at, loss=None: ImplicitDifferentiation(FixedSteps(0))(lambda x: x + 0 * T(x), at)),
        ),
        (
            c.agrees_with_closed_form,
            wrap(lambda T, at, loss=None: TruncatedBackprop(2)(lambda x: 0.5 * (x + T(x)), at)),
        ),
        (c.agrees_with_oracle, wrap(ImplicitDifferentiation(WrongSign()), FixedSteps(200))),
        (c.agrees_with_oracle, wrap(ImplicitDifferentiation(FixedSteps(0)), FixedSteps(200))),
        (c.counts_truly, wrap(one_layer_less_than_said)),
        (c.counts_truly, wrap(a_residual_nobody_counted)),
        (c.scales_with_the_loss, wrap(one_tolerance_for_all, FixedSteps(200))),
        (c.treats_samples_alone, wrap(mixes_samples)),
        (c.repeats_itself, wrap(draws_noise)),
        (c.repeats_itself, wrap(TruncatedBackprop(1), Stale())),
        (c.leaves_no_tape, wrap(a_hook_that_holds_its_output)),
        (c.leaves_no_tape, wrap(a_global_tape)),
        (c.leaks_nothing, wrap(tapes_always)),
        (c.leaks_nothing, wrap(draws_noise)),
    ],
)
def test_the_check_turns_red(check, solver):
    with pytest.raises(AssertionError):
        check(solver)


@pytest.mark.process
def test_checks_bite_under_python_O():
    """``-O`` strips every ``assert``; a check must not be one."""
    code = (
        "import torch\n"
        "from solvers import ImplicitDifferentiation, FixedSteps, Solver, conformance as c\n"
        "assert False, 'asserts are on'\n"
        "wrong, missed = Solver('wrong', FixedSteps(200), ImplicitDifferentiation(FixedSteps(0))), 0\n"
        "for check in (c.agrees_with_oracle, lambda s: c.demand(False, '')):\n"
        "    try:\n"
        "        check(wrong)\n"
        "    except AssertionError:\n"
        "        continue\n"
        "    missed += 1\n"
        "raise SystemExit(missed)\n"
    )
    assert subprocess.run([sys.executable, "-O", "-c", code], check=False).returncode == 0


def test_the_oracle_itself_agrees_with_central_differences():
    """The one road that shares no tape with anything: re-solve at ``θ ± h``."""
    T = c.Contraction()
    x0 = c.start(2, 6)
    exact = c.dense_oracle(T, x0)

    def objective() -> float:
        with torch.no_grad():
            return float(c.quadratic(FixedSteps(200)(T, x0).x))

    found = []
    for p in T.parameters():
        for i in range(p.numel()):
            flat = p.data.view(-1)
            sides = []
            for h in (1e-5, -2e-5):
                flat[i] += h
                sides.append(objective())
            flat[i] += 1e-5
            found.append((sides[0] - sides[1]) / 2e-5)
    assert c.relative_error(torch.tensor(found, dtype=torch.float64), exact) < 1e-8


@pytest.mark.parametrize(
    "wrong",
    [
        Solver("gradient flows through the restarts", FixedSteps(0), TruncatedBackprop(8)),
        Solver("one layer too many", FixedSteps(6), TruncatedBackprop(3)),
        Solver("one layer too few", FixedSteps(6), TruncatedBackprop(1)),
        Solver("one restart too many", FixedSteps(8), TruncatedBackprop(2)),
        Solver("one restart too few", FixedSteps(4), TruncatedBackprop(2)),
        unrolled(2),
        deq(1e-12),
    ],
)
def test_no_neighbour_is_taken_for_restarted_jfb(wrong):
    T = c.Contraction()
    right, _ = c.gradient_of(restarted_jfb(2, 3), T, c.start(2, 6))
    found, _ = c.gradient_of(wrong, T, c.start(2, 6))
    assert c.relative_error(found, right) > 1e-9
