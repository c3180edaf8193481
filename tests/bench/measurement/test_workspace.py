"""Vectors that an adjoint solve holds, as records tell them."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from bench.external import deepinv_anderson
from bench.measurement.workspace import adjoint_vectors
from bench.operators import douglas_rachford, forward_backward
from solvers import (
    GMRES,
    Anderson,
    Picard,
    ProxCG,
    certified,
    estimated,
    implicit,
    jfb,
    restarted_jfb,
)
from tests.helpers.problems import small_problem, task_by

CASES = [
    (jfb(3), 0),
    (restarted_jfb(2, 3), 0),
    (implicit(Anderson(1e-2), GMRES(1e-2, memory=10)), 14),
    (estimated(0.1), GMRES().workspace_vectors),
    (implicit(Anderson(1e-2), ProxCG(1e-2)), 5),
    (implicit(Anderson(1e-2), Picard(1e-2)), math.nan),
    (certified(0.1), math.nan),
    (deepinv_anderson(3, 3, 2, 0.9, 1e-12, 2, 1.0, 1e-12, 1e-12), math.nan),
]


def vectors_on(splitting, solver):
    problem = small_problem(replace(task_by("deblurring(huber)"), splitting=splitting))
    batch = problem.train
    return adjoint_vectors(solver, problem.bind(batch), problem.start(batch))


@pytest.mark.parametrize(("solver", "vectors"), CASES)
def test_the_vectors_of_an_estimator(solver, vectors):
    assert vectors_on(forward_backward(), solver) == pytest.approx(vectors, nan_ok=True)


def test_where_the_inner_stage_is_indefinite_prox_cg_holds_two_more():
    assert vectors_on(douglas_rachford(), implicit(Anderson(1e-2), ProxCG(1e-2))) == 7
