"""C30. Samples of a batch are treated alone.

The gradient of a batch is the sum of the gradients of its samples, and the value of a sample that of a batch of one: to
rounding where a solver has a depth, and as far as its tolerance says where it has one (then each sample's own point
and adjoint are within ``r/(1 − L)`` of the exact ones, so that a solver that stops on the norm of the batch, or picks
the wrong samples, shows on the small ones). Samples differ in size by up to 1000.

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
    Solver,
    checkpointed,
    implicit,
    neumann,
    phantom,
    restarted_jfb,
)

from ..engine.claim import Claim
from ..engine.inequality import Sides, conjunction
from ..instances.batches import BatchMap, SampleSubset, solver_map, uneven
from ..instances.exact import two_norm
from ..instances.synthetic import Case

FIXED = 1e-12
"""What two ways to add up may differ by, relative to the size of a sample."""


def _solve(case: Case, solver: Solver, index: Tensor) -> tuple[Tensor, Tensor]:
    """Value and gradient, in ``W_b x_b + V_b θ_b + c_b`` with a θ for each sample, of the samples at ``index``."""
    T = solver_map(case)
    assert isinstance(T, SampleSubset)
    x0, target = (x.view(case.samples, -1)[index] for x in (case.x0, case.loss.target))
    each = torch.zeros_like(x0, requires_grad=True)
    solution = solver(_Shifted(T.pick(index), each), x0)
    (case.loss.q / 2 * (solution.x - target).square().sum()).backward()
    assert each.grad is not None, "no gradient reached the constant"
    return solution.x.detach(), each.grad


class _Shifted:
    """A map with a constant of its own for every sample, in which the gradient is the adjoint itself."""

    def __init__(self, T: SampleSubset, constant: Tensor) -> None:
        self.T, self.constant = T, constant

    def __call__(self, x: Tensor) -> Tensor:
        return self.T(x) + self.constant

    def pick(self, index: Tensor) -> _Shifted:
        return _Shifted(self.T.pick(index), self.constant[index])


def _sides(case: Case, solver: Solver, tol: float, others: int = 0) -> Sides:
    assert isinstance(case.T, BatchMap)
    together = _solve(case, solver, torch.arange(case.samples))
    found: list[Sides] = []
    for b in range(case.samples):
        alone = _solve(case, solver, torch.tensor([(b + others) % case.samples]))
        for whole, part in zip(together, alone, strict=True):
            size = two_norm(part) + two_norm(whole[b])
            # Either is this near to the exact one; the adjoint's J is that of the point.
            near = FIXED + 3 * tol / (1 - case.L) ** 2
            found.append(Sides(two_norm(whole[b] - part[0]), near * (size + _scale(case, b)), 0.0))
    return conjunction(*found)


def _scale(case: Case, b: int) -> float:
    """The size of what a sample is made of: with it, rounding of a value that cancels."""
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
