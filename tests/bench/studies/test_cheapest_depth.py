"""The search for the cheapest depth agrees with trying every depth."""

from __future__ import annotations

import math

import pytest
import torch

from bench.config.matrix import parse_solver
from bench.measurement.training import parameters
from bench.studies.certificates.certified_step import (
    take_step,
    timed_audit,
)
from bench.studies.certificates.cheapest_depth import TapedIteration, backpropagated, cheapest_depths
from bench.studies.certificates.tables import (
    against_best,
    rows_frame,
)
from bench.studies.certificates.trials import trial_reference
from bench.studies.gradients import flatten
from solvers import jfb, neumann, phantom, restarted_jfb, unrolled
from tests.helpers.problems import small_problem


def test_the_search_for_a_depth_finds_what_the_solvers_do(tiny):
    table = against_best(rows_frame(tiny[3]["rows"], "depths"))
    assert len(table) == 2
    assert table["reached"].all()
    assert table["met"].all()
    assert (table["error"] <= table["bound"]).all()
    problem = small_problem("denoising(huber)")
    exact = trial_reference(problem, problem.train)
    for row in table.itertuples():
        step = take_step(
            parse_solver(row.fixed), problem, problem.train, problem.bind(problem.train), record=False
        )
        assert step.applications + step.products == row.fixed_cost
        assert torch.linalg.vector_norm(
            flatten(step.gradient) - exact
        ) <= row.rtol * torch.linalg.vector_norm(exact)


def test_no_cheaper_depth_was_overlooked():
    problem = small_problem("inpainting(huber)")
    batch, exact = problem.train, trial_reference(problem, problem.train)
    path = TapedIteration(
        problem.bind(batch), lambda x: problem.loss(x, batch), parameters(problem), [problem.start(batch)]
    )
    rtol = 0.5
    found = cheapest_depths(path, exact, [rtol])
    assert found.best[rtol].call
    below = found.best[rtol].cost
    for K, R in ((1, 7), (5, 3), (10, 2), (20, 1), (30, 0), (30, 1), (10, 5)):
        for solver in (
            restarted_jfb(K, R),
            neumann(K * R + 3, K),
            unrolled(K + R),
            jfb(K * R),
            phantom(K * R, K, 1.0),
        ):
            step = take_step(solver, problem, batch, problem.bind(batch), record=False)
            error = torch.linalg.vector_norm(flatten(step.gradient) - exact) / torch.linalg.vector_norm(exact)
            assert error > rtol or step.applications + step.products >= below, solver


@pytest.mark.parametrize(
    "solver", [restarted_jfb(3, 2), neumann(6, 4), unrolled(5), jfb(4), phantom(4, 3, 1.0)]
)
def test_a_path_gives_the_gradients_of_the_solvers(solver):
    problem = small_problem()
    batch = problem.train
    path = TapedIteration(
        problem.bind(batch), lambda x: problem.loss(x, batch), parameters(problem), [problem.start(batch)]
    )
    step = take_step(solver, problem, batch, problem.bind(batch), record=False)
    M, K = int(step.applications), int(step.products)  # of a batch of one: whole
    ends = [M - 1] * K if solver.label.startswith("neumann") else range(M - 1, M - 1 - K, -1)
    *_, gradient = path.gradients(ends, M)
    torch.testing.assert_close(gradient, flatten(step.gradient))


def problem_of(task):
    problem = small_problem(task)
    batch = problem.train
    path = TapedIteration(
        problem.bind(batch), lambda x: problem.loss(x, batch), parameters(problem), [problem.start(batch)]
    )
    return problem, batch, path


def test_the_search_agrees_with_trying_everything():
    problem, batch, path = problem_of("denoising(huber)")
    exact = trial_reference(problem, batch)
    found = cheapest_depths(path, exact, [3e-1, 1e-2, 1e-4])
    size = torch.linalg.vector_norm(exact)
    costs = {rtol: [math.inf] for rtol in found.best}
    for M in range(1, 20):
        for ends in (range(M - 1, -1, -1), [M - 1] * 20):
            for K, gradient in enumerate(path.gradients(ends, M), start=1):
                for rtol in costs:
                    if torch.linalg.vector_norm(gradient - exact) <= rtol * size:
                        costs[rtol].append(M + K)
    assert {rtol: best.cost for rtol, best in found.best.items()} == {r: min(c) for r, c in costs.items()}


@pytest.mark.parametrize(("M", "K"), [(5, 5), (6, 1), (6, 3), (7, 3)])
def test_a_depth_is_called_what_makes_it(M, K):
    problem, batch, path = problem_of("deblurring(huber)")
    step = take_step(parse_solver(backpropagated(M, K)), problem, batch, problem.bind(batch), record=False)
    *_, gradient = path.gradients(range(M - 1, M - 1 - K, -1), M)
    torch.testing.assert_close(gradient, flatten(step.gradient))
    assert (step.applications, step.products) == (M, K)


def test_a_hidden_audit_is_told_nothing_of_the_loss_either(monkeypatch):
    from bench.studies.certificates import certified_step as module
    from solvers import Smooth

    problem, batch, _ = problem_of("denoising(huber)")
    step = take_step(neumann(6, 4), problem, batch, problem.bind(batch))
    assert (step.applications, step.products) == (7, 4)
    told = []
    monkeypatch.setattr(module, "audited", lambda T, x, loss, *_, **__: told.append(isinstance(loss, Smooth)))
    for hidden in (False, True):
        timed_audit(problem, batch, step, hidden)
    assert told == [True, False]
