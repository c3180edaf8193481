"""The stages of an operator's adjoint, and conjugate gradients with them against GMRES, on every convex operator."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from bench.operators import (
    admm,
    douglas_rachford,
    forward_backward,
    half_quadratic,
    peaceman_rachford,
)
from bench.penalties import l1
from solvers import GMRES, AdjointStages, Anderson, ProxCG, Solver, implicit
from solvers.conformance import relative_error
from tests.helpers.problems import small_problem
from tests.helpers.splittings import PENALTIES, PHYSICS, measured, operator_of
from tests.helpers.tensors import draw

STAGED = {
    "forward_backward": forward_backward(),
    "half_quadratic": half_quadratic(),
    "douglas_rachford": douglas_rachford(),
    "relaxed": douglas_rachford(0.8),
    "peaceman_rachford": peaceman_rachford(),
    "admm": admm(),
}
CASES = [
    pytest.param(splitting, penalty, physics, id=f"{name}-{penalty.label}-{physics}")
    for name, splitting in STAGED.items()
    for penalty in PENALTIES
    for physics in PHYSICS
]


def case(splitting, penalty, physics):
    A = PHYSICS[physics]()
    operator = operator_of(splitting, penalty, A)
    y = measured(A)
    T = operator.bind(y, A)
    with torch.no_grad():
        x = Anderson(1e-10, 500)(T, operator.start(y)).x
    return operator, T, x


@pytest.mark.parametrize(("splitting", "penalty", "physics"), CASES)
def test_the_stages_are_symmetric_and_make_the_adjoint(splitting, penalty, physics):
    _, T, x = case(splitting, penalty, physics)
    stages = T.stages(x)
    assert isinstance(stages, AdjointStages)
    u, w = draw(5, *x.shape), draw(6, *x.shape)
    for stage in (stages.inner, stages.outer):
        assert float((w * stage(u)).sum()) == pytest.approx(float((u * stage(w)).sum()), rel=1e-10, abs=1e-10)
    start = x.clone().requires_grad_()
    (Ju,) = torch.autograd.grad(T(start), start, u)
    torch.testing.assert_close(stages.shift * u + stages.outer(stages.inner(u)), Ju, rtol=1e-10, atol=1e-12)
    if stages.definite:
        assert float((u * stages.inner(u)).sum()) >= 0
        energy = stages.inner(u) * (u - Ju)
        assert float(energy.sum()) >= -1e-12


def gradient(solver: Solver, T, operator, x: Tensor):
    operator.zero_grad()
    solution = solver(T, x)
    (solution.x * draw(7, *x.shape)).sum().backward()
    (weights,) = (p for p in operator.parameters() if p.grad is not None)
    return weights.grad.flatten(), solution


@pytest.mark.parametrize(("splitting", "penalty", "physics"), CASES)
def test_the_gradient_is_that_of_gmres(splitting, penalty, physics):
    operator, T, x = case(splitting, penalty, physics)
    exact, by_gmres = gradient(implicit(Anderson(1e-10), GMRES(1e-11, 400, memory=200)), T, operator, x)
    found, by_prox = gradient(implicit(Anderson(1e-10), ProxCG(1e-11, 400)), T, operator, x)
    assert by_gmres.adjoint[0].converged
    assert by_prox.adjoint[0].converged, by_prox.adjoint
    assert relative_error(found, exact) < 1e-8


@pytest.mark.parametrize("task", ["deblurring(huber)", "inpainting(huber)", "deblurring(huber(0.01, 0.005))"])
@pytest.mark.parametrize(
    "splitting", ["forward_backward", "peaceman_rachford", "peaceman_rachford(depth=10)"]
)
@pytest.mark.parametrize("tol", [1e-1, 1e-2, 1e-3, 1e-6])
def test_real_problems_need_about_the_products_of_gmres(task, splitting, tol):
    problem = small_problem(f"{task} by {splitting}")
    T, criterion = problem.bind(problem.train), problem.criterion(problem.train)
    with torch.no_grad():
        x = Anderson(1e-8, 500)(T, problem.start(problem.train)).x
    counts = []
    for adjoint in (GMRES(tol), ProxCG(tol)):
        solver = implicit(Anderson(1e-8), adjoint)
        solution = solver(T, x)
        criterion(solution.x).backward()
        assert solution.adjoint[0].converged
        counts.append(solution.adjoint[0].applications)
    assert counts[1] <= 1.25 * counts[0] + 3


def counted(stages: AdjointStages):
    calls = {"inner": 0, "outer": 0}

    def count(name, stage):
        def call(u):
            calls[name] += 1
            return stage(u)

        return call

    twin = AdjointStages(
        count("inner", stages.inner), count("outer", stages.outer), stages.shift, stages.definite
    )
    return twin, calls


class Counted:
    """An operator's map that counts the calls of its stages, and the times that they were asked for."""

    def __init__(self, T) -> None:
        self.T, self.asked = T, 0

    def __call__(self, x):
        return self.T(x)

    def stages(self, x):
        self.asked += 1
        stages, self.calls = counted(self.T.stages(x))
        return stages


@pytest.mark.parametrize("name", ["forward_backward", "peaceman_rachford"])
def test_a_product_is_a_pair_of_stages(name):
    operator, bound, x = case(STAGED[name], l1(), "deblurring")
    T = Counted(bound)
    _, solution = gradient(implicit(Anderson(1e-10), ProxCG(1e-6)), T, operator, x)
    (report,) = solution.adjoint
    # One product measures the residual, through the tape.
    assert report.applications == max(T.calls.values()) + 1
    assert T.asked == 1
    assert solution.recomputed == [1.0]


@pytest.mark.parametrize("splitting", ["primal_dual", "chambolle_pock"])
def test_a_map_without_stages_is_refused_in_a_line(splitting):
    problem = small_problem(f"deblurring(huber) by {splitting}")
    solver = implicit(Anderson(1e-3), ProxCG(1e-3))
    solution = solver(problem.bind(problem.train), problem.start(problem.train))
    with pytest.raises(ValueError, match="prox_cg needs a map that hands out the stages") as refused:
        solution.x.sum().backward()
    assert "\n" not in str(refused.value)


def test_a_stage_leaves_neither_a_tape_nor_a_gradient():
    operator, T, x = case(peaceman_rachford(), l1(), "inpainting")
    stages = T.stages(x)
    assert not stages.outer(stages.inner(draw(1, *x.shape))).requires_grad
    assert all(p.grad is None for p in operator.parameters())
