"""The vectors of the size of u that adjoint solvers say they hold, counted."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from solvers import CG, GMRES, AdjointStages, ProxCG
from solvers._adjoint.warm_start import solve_from
from tests.helpers.tensors import F64, draw
from tests.helpers.workspace import held_vectors

N = 20_000


class Diagonal:
    """``u -> v + M D u`` with diagonal M and D, in stages; ``linear`` is the last call of every product."""

    inverse = None

    def __init__(self, definite: bool = True) -> None:
        self.v, self.definite = draw(3, 2, N), definite
        self.D = torch.linspace(0.1 if definite else -0.9, 1, N, dtype=F64)
        self.M = torch.linspace(-0.95, 0.95, N, dtype=F64).roll(N // 3)

    def __call__(self, u: Tensor) -> Tensor:
        return self.v + self.linear(u)

    def linear(self, u: Tensor) -> Tensor:
        return self.M * self.D * u

    def stages(self) -> AdjointStages:
        return AdjointStages(self.inner, self.outer, definite=self.definite)

    def inner(self, u: Tensor) -> Tensor:
        return self.D * u

    def outer(self, u: Tensor) -> Tensor:
        return self.M * u


CASES = [
    (GMRES(1e-9), True),
    (GMRES(1e-9, memory=10), True),
    (CG(1e-9), True),
    (ProxCG(1e-9), True),
    (ProxCG(1e-9), False),
]


@pytest.mark.parametrize(("solver", "definite"), CASES)
@pytest.mark.parametrize("warm", [False, True])
def test_a_solver_holds_the_vectors_that_it_says(solver, definite, warm):
    T = Diagonal(definite)
    solve = (lambda T, v: solve_from(T.earlier, solver, T)) if warm else solver
    T.earlier = T.v / (1 - T.M * T.D) + 1e-3 * draw(1, 2, N)
    held = held_vectors(solve, T, T.v, ("linear", "inner", "outer"))
    said = solver.vectors(definite) if isinstance(solver, ProxCG) else solver.workspace_vectors
    assert held <= said + 0.1
    assert held > said - 3.1, "it says more than it needs"


class Misled(Diagonal):
    """Its stages are a little off for the first sample, which needs two corrections; those of the second go too far."""

    def outer(self, u: Tensor) -> Tensor:
        return torch.stack([(1 + 1e-4) * self.M * u[0], (0.9 / self.D + 0.1 * self.M) * u[1]])


@pytest.mark.parametrize("definite", [True, False])
def test_a_correction_that_makes_it_worse_holds_no_more(definite):
    T, solver = Misled(definite), ProxCG(1e-9)
    T.earlier = T.v / (1 - T.M * T.D) + torch.tensor([[1e-3], [3e-2]], dtype=F64) * draw(1, 2, N)
    held = held_vectors(lambda T, v: solve_from(T.earlier, solver, T), T, T.v, ("linear", "inner", "outer"))
    assert held <= solver.vectors(definite) + 0.1


def test_conjugate_gradients_of_stages_hold_less_than_a_short_basis():
    assert ProxCG().workspace_vectors < GMRES(memory=10).workspace_vectors
