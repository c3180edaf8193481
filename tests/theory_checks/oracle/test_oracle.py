"""Reference gradients against derivatives of cone programmes."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from bench.measurement.training import parameters, training_step
from bench.tasks import build_problem
from bench.tasks.images import Layout, find_images
from solvers import jfb
from tests.helpers.tensors import F64
from theory_checks.instances import two_norm
from theory_checks.oracle import AGREES, check_against_cone_programmes, cone_programme
from theory_checks.oracle.check import of_weights, small_task

SMALL = (("denoising(l1)", 16), ("inpainting(huber)", 16), ("denoising(tv)", 8))


def test_reference_gradients_agree_with_cone_programmes():
    checks = list(check_against_cone_programmes(SMALL))
    assert [check.agrees for check in checks] == [True] * len(SMALL)
    assert max(check.error for check in checks) < AGREES / 2


def problem_of(text, side):
    task, _ = small_task(text)
    return task, build_problem(task, find_images(), Layout(side, 1, 1), 0, dtype=F64)


def test_a_biased_gradient_is_far_from_the_cone_programme():
    task, problem = problem_of("inpainting(huber)", 16)
    expected = cone_programme(task, problem).gradient()
    training_step(jfb(400), problem, problem.train)
    gradient = torch.cat([p.grad.flatten() for p in parameters(problem)])
    assert two_norm(of_weights(problem, gradient) - expected) > 100 * AGREES * two_norm(expected)


def test_another_ridge_is_another_programme():
    task, problem = problem_of("denoising(tv)", 8)
    programme = cone_programme(task, problem)
    other = replace(programme, ridge=2 * programme.ridge)
    assert two_norm(other.gradient() - programme.gradient()) > 10 * AGREES * two_norm(programme.gradient())


def test_a_penalty_without_a_cone_programme_is_refused():
    task, problem = problem_of("denoising(orientations)", 16)
    with pytest.raises(TypeError, match="no penalty that a cone programme states"):
        cone_programme(task, problem)
