"""How often the host waits for the device in each loop: once a look, whatever the operator."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from bench.config.matrix import parse_solver, parse_task
from bench.config.profile_schema import EquilibriumTable
from bench.measurement.equilibrium import LearnedEquilibrium, check_stability
from bench.measurement.past_depth import MULTIPLES, iterate_past
from bench.measurement.training import training_step
from solvers import CG, GMRES, Anderson, Nesterov, Picard

# Not public: an adjoint equation without the forward solve before it.
from solvers._adjoint.adjoint_map import TapedAdjoint
from tests.emulated.cases import problem
from tests.emulated.counts import Counts, counted
from tests.helpers.problems import task_by

ENDS = 4
"""Waits and uploads of a whole solve that are no look: where it starts, and where samples end."""


@pytest.fixture(scope="module")
def there(cuda):
    """An operator whose L is close to 1, so that every solve goes on for a while."""
    return problem(parse_task("inpainting(huber)"), cuda)


def waits(seen: Counts) -> int:
    return sum(seen.waits.values())


def looks(applications: int, every: int) -> int:
    """On every ``every``-th application, on the first, and on the last."""
    return applications // every + 2


@pytest.mark.parametrize("reach", [Picard(1e-4), Picard(1e-3, every=1), Anderson(1e-5)])
def test_a_reach_waits_once_a_look(reach, there):
    """Anderson acceleration once more for each mixed point: the small system is solved on the CPU."""
    with torch.no_grad(), counted() as seen:
        found = reach(there.bind(there.train), there.start(there.train))
    made = found.report.applications
    assert made > 20
    each = 2 if isinstance(reach, Anderson) else 1
    assert waits(seen) <= each * looks(made, reach.every) + ENDS, seen


def test_nesterov_waits_once_an_application_besides(there):
    """Momentum starts anew by the sign of an inner product, which the host sees to."""
    with torch.no_grad(), counted() as seen:
        found = Nesterov(1e-5)(there.bind(there.train), there.start(there.train))
    made = found.report.applications
    assert made > 20
    assert waits(seen) <= made + looks(made, 3) + ENDS, seen


def adjoint(there) -> tuple[TapedAdjoint, Tensor]:
    T, x = there.bind(there.train), there.start(there.train).requires_grad_()
    with torch.enable_grad():
        y = T(x)
    v = torch.cos(9 * y.detach())
    return TapedAdjoint(x, y, v, None), v


def test_gmres_waits_once_an_orthogonalisation(there):
    """A vector is orthogonalised once, or twice where most of it was taken away."""
    T, v = adjoint(there)
    with counted() as seen:
        found = GMRES(1e-9)(T, v)
    made = found.report.applications
    assert made > 10
    assert waits(seen) <= 2 * made + ENDS, seen


def test_cg_waits_three_times_a_product(cuda):
    """For the length of its step, for what is left, and for whether directions are conjugate: each needs the last."""
    of = problem(parse_task("denoising(orientations(0.02, 0.02))"), cuda)
    T, v = adjoint(of)
    with counted() as seen:
        found = CG(1e-12)(T, v)
    made = found.report.applications
    assert made > 5
    assert waits(seen) <= 3 * made + ENDS, seen


def test_the_past_of_a_depth_waits_once_an_application(there):
    depth, scored = 1, 0
    T, made = there.bind(there.train), 0

    def applied(x: Tensor) -> Tensor:
        nonlocal made
        made += 1
        return T(x)

    def score(x: Tensor) -> float:
        nonlocal scored
        scored += 1
        return 0.0

    with counted() as seen:
        iterate_past(applied, there.start(there.train), depth, score, 1000)
    assert scored == len(MULTIPLES)
    assert made == depth * MULTIPLES[-1] + scored
    assert waits(seen) == made, seen


def test_staying_waits_once_an_application(there):
    table = EquilibriumTable(tol=1e-4, budget=30, max_applications=30)
    start = there.start(there.train)
    with counted() as seen:
        found = check_stability(
            there.bind(there.train), LearnedEquilibrium(start, 1.0, 0, "", False), lambda x: 0.0, table
        )
    assert found.steps == 30
    assert waits(seen) <= found.steps + ENDS, seen


@pytest.mark.parametrize(
    "text", ["unrolled(6)", "restarted_jfb(3, 2)", "jfb(6)", "neumann(6, 6)", "phantom(4, 2)"]
)
def test_a_fixed_depth_never_waits(text, there):
    training_step(parse_solver(text), there, there.train)
    with counted() as seen:
        training_step(parse_solver(text), there, there.train)
    assert not seen.waits, seen
    assert not seen.uploads, seen


@pytest.mark.parametrize("text", ["unrolled(6)", "jfb(6)", "neumann(6, 6)"])
def test_nor_does_it_by_another_splitting(text, cuda):
    """Whose image takes the prox of the data term."""
    of = problem(task_by("deblurring(huber) by peaceman_rachford"), cuda)
    training_step(parse_solver(text), of, of.train)
    with counted() as seen:
        training_step(parse_solver(text), of, of.train)
    assert not seen.waits, seen
    assert not seen.uploads, seen
    assert not seen.undetermined, seen


def test_certified_waits_less_than_twice_an_application(there):
    with counted() as seen:
        solution, _ = training_step(parse_solver("certified(0.01)"), there, there.train)
    made = solution.applications + solution.vjps
    assert waits(seen) <= 2 * made + 3 * ENDS, seen
