"""Counts of external solvers are those that T saw."""

from __future__ import annotations

import time
from functools import partial

import pytest
import torch

from bench.external import base as base_module
from bench.measurement.training import training_step
from bench.operators import ProximalOperator
from solvers.conformance import (
    Contraction,
    CountedMap,
    counts_truly,
    quadratic,
    start,
)
from tests.helpers.external import DEEPINV, TORCHDEQ, external_solver
from tests.helpers.problems import small_problem


@pytest.mark.parametrize("text", TORCHDEQ)
def test_torchdeq_is_counted_truly(text):
    counts_truly(external_solver(text))


@pytest.mark.parametrize("splitting", ["forward_backward", "peaceman_rachford", "half_quadratic"])
@pytest.mark.parametrize("text", DEEPINV)
def test_deepinv_is_counted_truly(text, splitting):
    """It never calls T, but its prox once for each application: counted there, from outside."""
    found = small_problem(f"deblurring(huber) by {splitting}")
    assert isinstance(found.operator, ProximalOperator)
    penalty, step = found.operator.prior, found.operator.step()
    seen = CountedMap(partial(type(penalty).prox, penalty, step=step))
    penalty.prox = lambda z, step: seen(z)
    solution, _ = training_step(external_solver(text), found, found.train)
    assert (solution.applications, solution.vjps) == (seen.applications, seen.vjps)
    assert solution.vjps > 0


@pytest.mark.parametrize("text", TORCHDEQ)
def test_torchdeq_is_counted_truly_on_another_splitting(text):
    found = small_problem("deblurring(huber) by peaceman_rachford")
    seen = CountedMap(found.bind(found.train))
    solution = external_solver(text)(seen, found.start(found.train))
    found.loss(solution.x, found.train).backward()
    assert (solution.applications, solution.vjps) == (seen.applications, seen.vjps)
    assert solution.vjps > 0


def test_the_parts_of_the_count_are_what_they_say():
    T = Contraction()
    for text, untaped, taped, adjoint, again in (
        ("torchdeq_ift(9, 7, tol=0, tol_backward=0)", 9, 1, 7, 1),
        ("torchdeq_ift(9, 7, hook=True, tol=0, tol_backward=0)", 9, 1, 7, 0),
        ("torchdeq_phantom(9, 4, tol=0)", 9, 4, None, 0),
    ):
        solution = external_solver(text)(T, start(2, 6))
        assert (solution.forward.applications, solution.taped_applications, solution.adjoint) == (
            untaped,
            taped,
            [],
        )
        quadratic(solution.x).backward()
        assert [report.applications for report in solution.adjoint] == ([adjoint] if adjoint else [])
        assert sum(solution.recomputed) == again
    found = small_problem()
    solution, _ = training_step(external_solver("deepinv_deq(9, 7, thres=0)"), found, found.train)
    assert (solution.forward.applications, solution.taped_applications) == (9, 2)
    assert [report.applications for report in solution.adjoint] == [7]


@pytest.mark.parametrize("method", ["ift", "broyden", "anderson"])
def test_each_way_stops_by_a_tolerance_of_its_own(method):
    def work(words, scale=1.0):
        solution = external_solver(f"torchdeq_{method}(40, 30, hook=True, {words})")(
            Contraction(), start(2, 6)
        )
        (scale * quadratic(solution.x)).backward()
        return solution.forward.applications, solution.adjoint[0].applications

    most = work("tol=0, tol_backward=0")
    assert min(most) >= 30
    forward, backward = work("tol=0.5, tol_backward=0"), work("tol=0, tol_backward=0.5")
    assert forward[0] < 20 < forward[1]
    assert backward[1] < 20 < backward[0]
    given = "tol=1e-4, tol_backward=1e-4"
    if method != "anderson":  # whose regularisation is absolute whatever its tolerance is
        assert work(f"{given}, relative=True", 1e-3) == work(f"{given}, relative=True")
    assert work(given, 1e-3)[1] < work(given)[1]


def test_counting_takes_microseconds():
    counter = base_module.CallCounter(1)
    y = torch.ones(1, requires_grad=True)
    seconds = []
    for _ in range(200):
        z = y * 1
        begin = time.perf_counter()
        counter.count(z)
        seconds.append(time.perf_counter() - begin)
    assert sorted(seconds)[100] < 3e-5
