"""Gradients at the equilibrium of a splitting: those of forward–backward, and within what certificates say; float64."""

from __future__ import annotations

import pytest
import torch
from deepinv.physics import Denoising

from bench.measurement.hypergradient import reference_gradient
from bench.measurement.training import parameters, training_step
from bench.operators import douglas_rachford, forward_backward
from bench.penalties import Penalty
from solvers import certified
from tests.helpers.external import left
from tests.helpers.problems import small_problem
from tests.helpers.tensors import F64


def reference(problem):
    T, x0 = problem.limit(problem.train), problem.start(problem.train)
    return reference_gradient(T, parameters(problem), x0, problem.criterion(problem.train))


@pytest.mark.parametrize(
    "task", ["deblurring(huber(0.01, 0.05))", "inpainting_colour(orientations_colours(0.01, 0.05))"]
)
def test_the_implicit_gradient_is_that_of_forward_backward(task):
    """Of every operator with the same minimiser; half-quadratic splitting has another."""
    expected = reference(small_problem(task)).gradient
    for splitting in ("douglas_rachford", "peaceman_rachford", "douglas_rachford(0.7, 2)"):
        found = reference(small_problem(f"{task} by {splitting}"))
        assert found.basis == "certificate"
        assert found.error < 1e-8
        torch.testing.assert_close(
            found.gradient, expected, rtol=1e-8, atol=1e-8 * float(expected.abs().max())
        )
    other = reference(small_problem(f"{task} by half_quadratic")).gradient
    assert (other - expected).norm() > 1e-3 * expected.norm()


def test_so_it_is_on_coefficients():
    task = "inpainting(union(0.01, 0.05))"
    expected = reference(small_problem(task)).gradient
    found = reference(small_problem(f"{task} by peaceman_rachford")).gradient
    assert (found - expected).norm() <= 1e-8 * expected.norm()


@pytest.mark.parametrize("splitting", ["peaceman_rachford", "douglas_rachford(0.7, 2)", "half_quadratic(5)"])
@pytest.mark.parametrize("task", ["deblurring(huber)", "inpainting(orientations(0.0, 0.05))"])
def test_a_certificate_holds(task, splitting):
    problem = small_problem(f"{task} by {splitting}")
    exact = reference(problem).gradient
    for rtol in (0.3, 1e-2):
        solution, _ = training_step(certified(rtol), problem, problem.train)
        told = solution.certificates[0].relative
        assert (left(problem) - exact).norm() <= told * left(problem).norm() * (1 + 1e-6)
        assert told <= rtol


@pytest.mark.parametrize(
    "splitting", [douglas_rachford(gamma=1.0), forward_backward()], ids=lambda s: s.label
)
def test_a_bound_of_nothing_contains_the_defect_of_the_wavelets(splitting):
    """At γ = 1, and τ = 1, ``H = 0`` in denoising, but for what sym16 lacks of being orthonormal."""
    n, physics = 32, Denoising()
    penalty = Penalty("a single basis", 0.0, 0.0, levels=1, union=("sym16",))
    operator = splitting.operator(penalty, physics, (1, n, n), 1.0, F64, "cpu")
    T = operator.bind(torch.zeros(1, 1, n, n, dtype=F64), physics)
    H = operator.prox_argument(torch.eye(n * n, dtype=F64).view(-1, 1, n, n), T.data)[0].view(n * n, n * n)
    norm = float(torch.linalg.matrix_norm(H, ord=2))
    assert 1e-13 < norm <= T.regularity().argument < 1e-9
