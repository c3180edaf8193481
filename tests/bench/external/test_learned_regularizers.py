"""The study's gradients: their descent, their exactness at tight tolerances, and what is counted."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from bench.external import ExternalSolver
from bench.external.learned_regularizers import CountedEnergy, study_ift, study_jfb
from bench.external.nmapg import minimise
from bench.measurement.training import parameters, training_step
from bench.operators import primal_dual
from bench.regularisers import crr, icnn, wcrr
from bench.tasks import build_problem, denoising
from bench.tasks.images import Layout
from bench.utils.errors import UserError
from solvers import CG, QuasiNewton, implicit
from tests.helpers.problems import packaged_images, task_by
from tests.helpers.tensors import F64

EXACT = implicit(QuasiNewton(1e-12, 3000), CG(1e-11, 2000))


def problem(prior, crops=2, seed=0):
    """With the initial parameters, on which solves are short."""
    return build_problem(
        denoising(replace(prior, shipped=None)), packaged_images(), Layout(24, crops, 1), seed, dtype=F64
    )


def gradient(solver, found):
    solution, _ = training_step(solver, found, found.train)
    return torch.cat([p.grad.flatten() for p in parameters(found)]), solution


class Quadratic:
    """``½ xᵀDx − bᵀx`` of each sample, and what was asked of it."""

    def __init__(self, D, b):
        self.D, self.b = D, b
        self.asked = []

    def value(self, x, index):
        self.asked.append(index.tolist())
        return (x * (self.D * x / 2 - self.b[index])).sum(1)

    def gradient(self, x, index):
        self.asked.append(index.tolist())
        return self.D * x - self.b[index]

    def value_and_gradient(self, x, index):
        return self.value(x, index), self.gradient(x, index)


def test_the_descent_finds_the_minimum_of_each_sample():
    D = torch.logspace(0, 2, 20, dtype=F64)
    b = torch.randn(3, 20, dtype=F64, generator=torch.Generator().manual_seed(0))
    energy = Quadratic(D, b)
    found = minimise(energy, torch.zeros_like(b), 1e-7, 2000)
    assert found.change < 1e-7
    assert float((found.x - b / D).norm() / (b / D).norm()) < 1e-5
    # Secants lie between the smallest and the largest curvature, up to a shrinking of steps.
    assert bool(((found.curvature >= 1) & (found.curvature <= 100 / 0.9)).all())


def test_a_sample_that_has_ended_is_asked_no_more():
    D = torch.logspace(0, 3, 20, dtype=F64)
    b = torch.zeros(2, 20, dtype=F64)
    b[0, 0], b[1] = 1.0, 1.0
    energy = Quadratic(D, b)
    together = minimise(energy, torch.zeros_like(b), 1e-8, 5000)
    assert energy.asked[-1] == [1]
    assert float((together.x - b / D).abs().max()) < 1e-5


def test_the_descent_says_where_it_was_stopped():
    D = torch.logspace(0, 4, 20, dtype=F64)
    energy = Quadratic(D, torch.ones(1, 20, dtype=F64))
    found = minimise(energy, torch.zeros(1, 20, dtype=F64), 1e-12, 5)
    assert found.steps == 5
    assert found.change > 1e-12


@pytest.mark.parametrize("prior", [crr(), wcrr(), icnn()], ids=lambda prior: prior.label)
def test_the_energy_has_the_gradient_of_the_step(prior):
    """``T(x) = x − τ∇E(x)``."""
    found = problem(prior)
    T = found.bind(found.train)
    energy, everything = CountedEnergy(T), torch.arange(2)
    x = found.train.y.clone().requires_grad_()
    (slope,) = torch.autograd.grad(energy.value(x, everything).sum(), x)
    with torch.no_grad():
        g = energy.gradient(x, everything)
        assert float((slope - g).norm()) <= 1e-10 * float(g.norm())
        step = found.operator.step()
        assert float((T(x) - (x - step * g)).norm()) <= 1e-12 * float(x.norm())


def test_evaluations_count_by_the_samples_that_they_are_made_on():
    found = problem(crr())
    energy = CountedEnergy(found.bind(found.train))
    x = found.train.y
    energy.value(x, torch.arange(2))
    energy.gradient(x[:1], torch.tensor([1]))
    energy.value_and_gradient(x, torch.arange(2))
    assert energy.applications == 0.5 + 0.5 + 1
    assert energy.calls == 3
    alone = energy.gradient(x[1:], torch.tensor([1]))
    assert torch.equal(alone, energy.gradient(x, torch.arange(2))[1:])


def test_a_loose_ift_is_not_exact():
    found = problem(crr(), 1)
    exact, _ = gradient(EXACT, found)
    loose, _ = gradient(study_ift(1e-2), found)
    assert float((loose - exact).norm() / exact.norm()) > 0.05


@pytest.mark.parametrize("prior", [crr(), wcrr(), icnn()], ids=lambda prior: prior.label)
def test_a_tight_ift_is_exact(prior):
    found = problem(prior)
    exact, _ = gradient(EXACT, found)
    tight, solution = gradient(study_ift(1e-6, 1e-8), found)
    assert solution.converged
    assert float((tight - exact).norm() / exact.norm()) < 2e-4
    assert solution.evaluations > 3
    assert solution.products == 1 + solution.adjoint[0].applications > 2


def test_jfb_is_the_derivative_of_one_step_of_the_last_length():
    found = problem(crr())
    T = found.bind(found.train)
    minimum = minimise(CountedEnergy(T), found.start(found.train), 1e-4, 1000)
    got, solution = gradient(study_jfb(1e-4), found)
    assert (solution.products, solution.taped_applications) == (1, 1)
    found.operator.zero_grad()
    x = minimum.x
    slope = found.operator.regulariser.gradient(x) + x - found.train.y
    found.criterion(found.train)(x - slope / minimum.curvature.view(-1, 1, 1, 1)).backward()
    expected = torch.cat([p.grad.flatten() for p in parameters(found)])
    assert float((got - expected).norm()) <= 1e-12 * float(expected.norm())


def test_without_gradients_there_is_no_tape():
    found = problem(crr())
    with torch.no_grad():
        solution = study_ift(1e-3)(found.bind(found.train), found.start(found.train))
    assert not solution.x.requires_grad
    assert solution.vjps == 0


def test_labels_and_settings():
    assert isinstance(study_ift(), ExternalSolver)
    assert study_ift().label == "study_ift(0.0001)"
    assert study_jfb(1e-5, 20).label == "study_jfb(1e-05, budget=20)"
    assert "minres(1e-06, 1000) of deepinv" in study_ift().composition
    assert study_ift(1e-4) != study_ift(1e-4, 1e-5)


@pytest.mark.misuse(
    "the study's gradients on an operator without an energy", "refused: UserError that says to leave it out"
)
def test_an_operator_without_an_energy_is_refused():
    found = build_problem(task_by("denoising(huber)"), packaged_images(), Layout(32, 1, 1), 0, dtype=F64)
    assert not study_ift().admits(found.operator)
    with pytest.raises(UserError, match="learned regulariser"):
        study_ift()(found.bind(found.train), found.start(found.train))
    assert study_ift().admits(problem(crr(), 1).operator)
    assert study_ift().admits(crr())
    assert not study_ift().admits(crr(), primal_dual())  # a state of coefficients
