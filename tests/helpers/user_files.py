"""A user's file with a solver, a task and an operator."""

from __future__ import annotations

import textwrap

MINE = """
from dataclasses import dataclass
from solvers import FixedPoint, ImplicitDifferentiation, FixedSteps, Picard, SolveReport, Solver
from bench.penalties import huber
from bench.tasks import Task
from bench.tasks.denoising import Identity

@dataclass(frozen=True)
class Reach:
    steps: int
    def __call__(self, T, x0):
        x = x0
        for _ in range(self.steps):
            x = T(x)
        return FixedPoint(x, SolveReport(self.steps))

def mine(N, tol=1e-3):
    if N > 50:
        raise ValueError("N is at most 50")
    return Solver(f"mine({N})", Reach(N), ImplicitDifferentiation(Picard(tol)))

def noisy(prior=huber(), noise=0.2):
    return Task(f"noisy({prior.label}, {noise:g})", Identity(), (noise,), prior, 0.5)

@dataclass(frozen=True)
class Coarse:
    scale: float = 1.0
    layers: int = 0
    @property
    def label(self):
        return f"coarse({self.scale:g})"
    def operator(self, shape, step, dtype, device):
        return huber().operator(shape, self.scale * step, dtype, device)

coarse = Coarse
"""


def written(tmp_path, body, name="bad.py"):
    file = tmp_path / name
    file.write_text("from solvers import *\n" + textwrap.dedent(body))
    return file
