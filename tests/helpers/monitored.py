"""Maps and losses of monitored trainings."""

from __future__ import annotations

import math

import torch
from torch import nn

from solvers import (
    GradientMonitor,
    LipschitzConstants,
    SmoothLoss,
)
from solvers.conformance import quadratic, start
from tests.helpers.known_maps import matrix
from tests.helpers.tensors import F64


class Affine(nn.Module):
    """``x -> Mx + Vθ``, with all that there is to know about it; x stands in it twice."""

    def __init__(self, L: float = 0.8, known: float | None = None):
        super().__init__()
        self.M, self.V = matrix(6, L, 1), matrix(6, 1.5, 2)[:, :3]
        self.theta = nn.Parameter(torch.linspace(-1, 1, 3, dtype=F64))
        self.known = L if known is None else known

    def forward(self, x):
        return x - (x - x @ self.M.T - self.V @ self.theta)

    def regularity(self):
        # A batch is one long vector, and θ acts on each of two samples.
        return LipschitzConstants(self.known, 0.0, 0.0, lambda x: 1.5 * math.sqrt(2), parameters=[self.theta])


class Unknown(Affine):
    """The same, told nobody: ``None`` is no method to a protocol."""

    regularity = None


SMOOTH = SmoothLoss(quadratic, 1.0)


def log_of(solver, **settings):
    log: list = []
    return GradientMonitor(solver, lambda step, found: log.append((step, found)), **settings), log


def backpropagate(solver, T, loss=quadratic, shape=(2, 6)):
    T.zero_grad()
    solution = solver(T, start(*shape), loss)
    loss(solution.x).backward()
    return torch.cat([p.grad.flatten() for p in T.parameters()]), solution
