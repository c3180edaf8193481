"""Where an estimate misleads, and a proof does not."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

from solvers import LipschitzConstants, SmoothLoss, TapeRecorder, certificate, certified, deq
from theory_checks.instances.synthetic import F64

SLOW = 1 - 1e-7
GOAL, NOW = 3.0, 1.0


class Creeping:
    """Two pixels: the first settles at once; the second, which only a weight of 0 looks at, creeps from 1 to 3."""

    def __init__(self) -> None:
        self.theta = torch.zeros((), dtype=F64, requires_grad=True)

    def __call__(self, x):
        return torch.stack((x[0] / 2 + 5 + self.theta * x[1], x[1] + (1 - SLOW) * (GOAL - x[1])))


class Known(Creeping):
    """The same, and it knows how slow it is."""

    def regularity(self):
        return LipschitzConstants(
            SLOW, M_J=0.0, M_B=1.0, B=lambda x: abs(float(x[1])), parameters=[self.theta]
        )


START = torch.tensor([10.0, NOW], dtype=F64)  # where an earlier training step has left it
EXACT = 2 * GOAL
LOSS = SmoothLoss(lambda x: x[0], 0.0)


def solved(T: Creeping, solver: Callable):
    solution = solver(T, START, LOSS)
    LOSS(solution.x).backward()
    return solution, abs(float(T.theta.grad) - EXACT) / EXACT


def test_an_estimate_is_met_and_wrong_where_nothing_shows_a_slow_direction():
    """Neither the residual nor the adjoint has anything of it: J is diagonal here, and v looks at the first pixel."""
    solution, error = solved(Creeping(), certified(1e-2))
    assert solution.converged
    assert not solution.certificates[0].rigorous
    assert solution.certificates[0].relative < 1e-3
    assert error == pytest.approx((GOAL - NOW) / GOAL, rel=1e-3)


def test_the_same_map_with_its_constants_is_solved():
    solution, error = solved(Known(), certified(1e-2))
    assert solution.converged
    assert solution.certificates[0].rigorous
    assert error <= solution.certificates[0].relative < 1e-2


def test_the_wrong_gradient_is_not_certified_by_the_constants():
    T = Known()
    watch, v = TapeRecorder(T), torch.tensor([1.0, 0.0], dtype=F64)
    solution = deq(1e-6)(watch, START)
    assert solution.converged
    LOSS(solution.x).backward()
    g = T.theta.grad
    assert g is not None
    found = certificate(watch.taped, solution.x.detach(), v, T.regularity(), 0.0, 0.0, float(g))
    assert abs(float(g) - EXACT) > 0.6 * EXACT
    assert found.error >= abs(float(g) - EXACT)
    assert found.relative == math.inf
