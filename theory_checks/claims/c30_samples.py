"""C30. The samples of a batch do not influence each other.

The value of a sample is the same in a batch and alone, and the gradient of a batch is the sum of the gradients
of its samples: to rounding for solvers with a fixed depth, otherwise as far as the tolerance allows. With a
tolerance, the point and the adjoint of each sample are within ``r/(1 − L)`` of the exact ones. So a solver that
stops on the norm of the batch, or selects the wrong samples, fails on the small samples. Samples differ in size
by up to 1000.

Source: the definition of a batch in ``solvers.Map``.
"""

from __future__ import annotations

import torch
from hypothesis import strategies as st
from torch import Tensor

from solvers import (
    GMRES,
    Anderson,
    Nesterov,
    Picard,
    QuasiNewton,
    Solver,
    checkpointed,
    implicit,
    neumann,
    phantom,
    restarted_jfb,
)

from ..engine import Claim, Sides, conjunction
from ..instances import Case, two_norm
from ..instances.batches import BatchMap, SampleSubset, solver_map, uneven

FIXED = 1e-12
"""Difference between two orders of a sum that is allowed, relative to the size of a sample."""


def _solve(case: Case, solver: Solver, index: Tensor) -> tuple[Tensor, Tensor]:
    """Values and adjoints of the samples at ``index``. An adjoint is the gradient in a constant added to the map."""
    T = solver_map(case)
    assert isinstance(T, SampleSubset)
    x0, target = (x.view(case.samples, -1)[index] for x in (case.x0, case.loss.target))
    theta = torch.zeros_like(x0, requires_grad=True)
    solution = solver(_Shifted(T.select(index), theta), x0)
    (case.loss.q / 2 * (solution.x - target).square().sum()).backward()
    assert theta.grad is not None, "the backward pass left no gradient in the constant"
    return solution.x.detach(), theta.grad


class _Shifted:
    """A map with a constant added for every sample. The gradient in the constants is the adjoint."""

    def __init__(self, T: SampleSubset, constant: Tensor) -> None:
        self.T, self.constant = T, constant

    def __call__(self, x: Tensor) -> Tensor:
        return self.T(x) + self.constant

    def select(self, index: Tensor) -> _Shifted:
        return _Shifted(self.T.select(index), self.constant[index])


def _sides(case: Case, solver: Solver, tol: float, others: int = 0) -> Sides:
    assert isinstance(case.T, BatchMap)
    batch = _solve(case, solver, torch.arange(case.samples))
    bounds: list[Sides] = []
    for b in range(case.samples):
        alone = _solve(case, solver, torch.tensor([(b + others) % case.samples]))
        for whole, part in zip(batch, alone, strict=True):
            size = two_norm(part) + two_norm(whole[b])
            # Both are this close to the exact ones. The J of an adjoint is taken at its point, which has an error too.
            tolerance = FIXED + 3 * tol / (1 - case.L) ** 2
            bounds.append(Sides(two_norm(whole[b] - part[0]), tolerance * (size + _scale(case, b)), 0.0))
    return conjunction(*bounds)


def _scale(case: Case, b: int) -> float:
    """The size of the terms of a sample, to which rounding is relative if its value cancels."""
    assert isinstance(case.T, BatchMap)
    return (
        two_norm(case.x0.view(case.samples, -1)[b])
        + two_norm(case.T.c[b])
        + two_norm(case.loss.target.view_as(case.T.c)[b])
    )


solvers = st.sampled_from(
    (
        (restarted_jfb(3, 2), 0.0),
        (neumann(4, 3), 0.0),
        (phantom(2, 3), 0.0),
        (checkpointed(5), 0.0),
        *((implicit(Anderson(tol, 500), GMRES(tol, 500)), tol) for tol in (1e-4, 1e-8)),
        *((implicit(Picard(tol, 20_000), Picard(tol, 20_000)), tol) for tol in (1e-2, 1e-4)),
        *((implicit(Nesterov(tol, 5000), Anderson(tol, 500)), tol) for tol in (1e-3, 1e-6)),
        *((implicit(QuasiNewton(tol, 5000), Anderson(tol, 500)), tol) for tol in (1e-3, 1e-6)),
    )
)

CLAIM = Claim(
    id="C30",
    statement="value and adjoint of a sample in a batch are those of the sample alone",
    source="solvers.Map",
    assumptions="samples do not interact; L < 1",
    examples=st.tuples(uneven, solvers),
    sides=lambda case, solver: _sides(case, *solver),
    negative_control=lambda case, solver: _sides(case, *solver, others=1),
    false_statement="they are those of another sample",
    rounding=0.0,
)
