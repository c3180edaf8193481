"""The reference gradient, against the one road that shares no tape with it."""

from __future__ import annotations

import pytest
import torch

from bench.images import Layout, find_images
from bench.matrix import parse_task
from bench.oracle import NoOracle, hypergradient
from bench.tasks import instance, loss
from solvers import Picard
from solvers.conformance import relative_error


def problem(text, seed=0):
    return instance(parse_task(text), find_images(), Layout(32, 1, 1), seed, dtype=torch.float64)


def reference(found, budget=3000):
    batch = found.train
    return hypergradient(
        found.bind(batch), list(found.operator.parameters()), batch.x0, lambda x: loss(x, batch.truth), budget
    )


@pytest.mark.parametrize(
    "text", ["denoising(huber)", "deblurring(huber(0.05, 0.1))", "inpainting(huber(0.05, 0.1))"]
)
def test_it_agrees_with_central_differences_of_the_solved_problem(text):
    """Re-solved by plain iterations at ``w ± h``: neither Anderson nor autograd has a part in it.

    The penalty has kinks, so the difference is taken over steps small enough that no coefficient
    crosses one, and the equilibrium is solved accordingly.
    """
    found = problem(text)
    exact = reference(found)
    assert exact.residual <= 1e-10
    assert exact.adjoint_residual <= 1e-10
    (weights,) = found.operator.parameters()
    T, batch = found.bind(found.train), found.train
    solve = Picard(1e-15, 3000)

    def objective(i, h):
        with torch.no_grad():
            weights.view(-1)[i] += h
            value = loss(solve(T, batch.x0).x, batch.truth)
            weights.view(-1)[i] -= h
        return value

    h = 1e-6
    differences = torch.stack(
        [(objective(i, h) - objective(i, -h)) / (2 * h) for i in range(weights.numel())]
    )
    assert relative_error(differences, exact.gradient) < 1e-5


def test_there_is_none_where_it_cannot_be_certified():
    with pytest.raises(NoOracle, match="the equilibrium is known to"):
        reference(problem("deblurring(huber)"), budget=5)
    found = problem("deblurring(huber)")
    batch = found.train
    T = found.bind(batch)

    def singular(x):
        """Converges forward, but ``I − J = 0``: the adjoint equation has no solution."""
        return T(x).detach() + (x - x.detach())

    with pytest.raises(NoOracle, match="the adjoint equation is solved to"):
        hypergradient(
            singular, list(found.operator.parameters()), batch.x0, lambda x: loss(x, batch.truth), 300
        )


def test_it_insists_on_float64():
    with pytest.raises(TypeError, match="float64"):
        hypergradient(lambda x: x, [], torch.zeros(1, 3), torch.sum)


def test_an_interpolating_loss_has_a_zero_gradient():
    found = problem("denoising(huber)")
    exact = hypergradient(
        found.bind(found.train), list(found.operator.parameters()), found.train.x0, lambda x: 0 * x.sum()
    )
    assert torch.equal(exact.gradient, torch.zeros_like(exact.gradient))
    assert exact.adjoint_residual == 0
