"""The floor does the same work as the solver it is held against, and the pairing cancels a drift."""

from __future__ import annotations

import pytest
import torch

from bench.cost.floor import Work, bare_step
from bench.cost.test_step import paired_ratios
from bench.images import Layout, find_images
from bench.matrix import parse_solver, parse_task
from bench.measure import parameters, training_step
from bench.tasks import instance, loss
from solvers.conformance import Counted


@pytest.mark.parametrize(
    "text", ["unrolled(7)", "jfb(9)", "restarted_jfb(4, 3)", "neumann(12, 9)", "deq(1e-11)"]
)
def test_the_floor_makes_the_same_gradient_with_the_same_counts(text):
    task = parse_task("deblurring(huber)")
    problem = instance(task, find_images(), Layout(32, 1, 1), 0, dtype=torch.float64)
    batch = problem.train
    solution, _ = training_step(parse_solver(text), problem, batch)
    wanted = [p.grad.clone() for p in parameters(problem)]
    problem.operator.zero_grad()
    counted = Counted(problem.bind(batch))
    bare_step(counted, batch.x0, lambda x: loss(x, batch.truth), Work.of(solution))
    assert counted.applications == solution.applications
    assert counted.vjps == solution.vjps
    # An accelerated solver makes the same number of steps, but better ones.
    tolerance = 1e-13 if "deq" not in text else 1.0
    for p, grad in zip(parameters(problem), wanted, strict=True):
        assert (p.grad - grad).norm() <= tolerance * grad.norm()


def test_a_drift_of_the_machine_cancels():
    times = [1.0 + 0.1 * i for i in range(11)]  # a machine that slows down by 10 % a measurement
    ratios = paired_ratios([1.5 * t for t in times[1::2]], times[0::2])
    assert ratios == pytest.approx([1.5] * 5)
