"""A training step of every solver and peer on the emulated device, as the benchmark makes it."""

from __future__ import annotations

import pytest
import torch

from bench.config.matrix import parse_solver
from bench.external import EXTERNAL_SOLVERS as LIBRARIES
from bench.measurement.memory import saved_bytes
from bench.measurement.training import parameters, training_step
from bench.tasks import Problem
from solvers import ESTIMATORS, SOLVER_PARTS
from tests.emulated.cases import OF_ENERGIES, PEERS, SOLVERS, problem
from tests.emulated.device import CudaTensor
from tests.helpers.problems import task_by

ON_BOTH = ("jfb(4)", "deq(0.001)", "implicit(nesterov(0.01), gmres(0.001))", "torchdeq_anderson(6, 4)")
"""Solvers that are quick on both operators: what an operator needs of the device is in test_operators.py."""
OPERATORS = (
    "deblurring(huber)",
    "inpainting_colour(orientations_colours(0.02, 0.05))",
    "deblurring(huber) by peaceman_rachford",
    "denoising(crr)",
)
ON_THE_LAST = (*ON_BOTH, "certified(0.5)", "deepinv_anderson(6, 4)")


def test_the_rosters_are_covered():
    words = " ".join((*SOLVERS, *PEERS, *OF_ENERGIES))
    assert all(f"{name}(" in words for name in (*ESTIMATORS, *SOLVER_PARTS, *LIBRARIES))


@pytest.fixture(scope="module")
def pairs(cuda) -> dict[str, tuple[Problem, Problem]]:
    """Of each operator an instance on the CPU and one on the device."""
    return {text: (problem(task_by(text), "cpu"), problem(task_by(text), cuda)) for text in OPERATORS}


def step(text: str, of: Problem) -> tuple[object, torch.Tensor, list[torch.Tensor], int]:
    """Counts, the reconstruction, the gradient, and the bytes on the tape."""
    known = [*of.operator.parameters(), *of.operator.buffers(), *of.physics.buffers()]
    with saved_bytes(known) as tape:
        solution, _ = training_step(parse_solver(text), of, of.train)
    counts = solution.applications, solution.vjps, solution.converged
    gradients = [p.grad for p in parameters(of) if p.grad is not None]
    return counts, solution.x.detach(), gradients, tape.count


@pytest.mark.parametrize(
    ("operator", "text"),
    [
        *((OPERATORS[0], text) for text in (*SOLVERS, *PEERS)),
        *(
            pytest.param(OPERATORS[1], text, marks=[] if text in ON_BOTH else pytest.mark.slow)
            for text in (*SOLVERS, *PEERS)
        ),
        *((OPERATORS[2], text) for text in ON_THE_LAST),
        *((OPERATORS[3], text) for text in OF_ENERGIES),
    ],
)
def test_a_training_step_is_that_of_the_cpu(operator, text, pairs):
    pair = pairs[operator]
    (counts, x, gradients, tape), (here, x_here, expected, tape_here) = (
        step(text, pair[1]),
        step(text, pair[0]),
    )
    assert counts == here
    assert tape == tape_here > 0
    for found, wanted in zip((x, *gradients), (x_here, *expected), strict=True):
        assert isinstance(found, CudaTensor)
        scale = float(wanted.abs().max()) or 1.0
        torch.testing.assert_close(found.held, wanted, rtol=0, atol=1e-10 * scale)
