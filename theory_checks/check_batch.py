"""Whether what a sample comes to depends on who is beside it in the batch, at any tolerance of the solver."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from solvers import Certified, Solver
from solvers import conformance as c

from .found import demand

APART = 1e5
"""The size of the large sample, and one over that of the small one.

A stop on the norm of the batch at 1e-13 leaves the small one a relative error of 1e-3.
"""
ROUNDING = 1e-9
"""The order of sums in a batch, times what an acceleration makes of it."""


class Rows(nn.Module):
    """``x -> d·x + b``, entry by entry, with a b for each sample: the fixed point is ``b/(1 − d)``."""

    d: Tensor

    def __init__(self, b: Tensor) -> None:
        super().__init__()
        self.register_buffer("d", torch.tensor([0.01, 0.3, 0.7, 0.9], dtype=b.dtype))
        self.b = nn.Parameter(b.clone())

    def forward(self, x: Tensor) -> Tensor:
        """One application; ``x`` is ``(samples, 4)``."""
        return self.d * x + self.b


def samples() -> Tensor:
    """``(2, 4)``: a large sample that is solved in a few applications, and a small one that takes many."""
    rows = [[APART, 0.0, 0.0, 0.0], [0.1 / APART, 0.2 / APART, -0.6 / APART, 1 / APART]]
    return torch.tensor(rows, dtype=torch.float64)


def solved(solver: Solver, b: Tensor) -> tuple[Tensor, Tensor]:
    """Values, and gradients in b of ``⟨b, x⟩`` with the first b held, a row for each sample."""
    T = Rows(b)
    x = solver(T, torch.zeros_like(b)).x
    (gradient,) = torch.autograd.grad((b * x).sum(), T.b)
    return x.detach(), gradient


def stops_alone(solver: Solver) -> str:
    """The value and the gradient of a sample are the same in any batch.

    Samples differ in size by ten orders of magnitude and the large one is solved first: a norm, a stop or a weight
    that is taken over the batch is then that of the large one, however tight the tolerance. ``Certified`` gives the
    gradient of the whole batch to a tolerance, so only its values are held to this.
    """
    b = samples()
    together = solved(solver, b)
    for i in range(len(b)):
        alone = solved(solver, b[i : i + 1])
        told = ("value",) if isinstance(solver.pull, Certified) else ("value", "gradient")
        for what, batch, one in zip(told, together, alone, strict=False):
            error = c.relative_error(batch[i : i + 1], one)
            demand(
                error <= ROUNDING,
                f"the {what} of a sample differs by {error:.1e} beside one that is larger and done sooner: "
                "stop each sample by itself, and take every norm along its own dimensions",
            )
    return "the same in any batch"
