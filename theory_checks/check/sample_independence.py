"""Check that the value and the gradient of a sample do not depend on the rest of its batch, at any tolerance."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from solvers import CertifiedBackward, Solver
from solvers import conformance as c

from .outcome import require

SIZE = 1e5
"""Size of the large sample, and one over the size of the small one.

A solver that stops on the norm of the batch at 1e-13 leaves a relative error of 1e-3 in the small sample.
"""
ROUNDING = 1e-9
"""Relative difference that counts as rounding: the order of sums depends on the batch, and acceleration adds to it."""


class DiagonalMap(nn.Module):
    """``x -> d·x + b``, entry by entry, with a b for each sample. The fixed point is ``b/(1 − d)``."""

    d: Tensor

    def __init__(self, b: Tensor) -> None:
        super().__init__()
        self.register_buffer("d", torch.tensor([0.01, 0.3, 0.7, 0.9], dtype=b.dtype))
        self.b = nn.Parameter(b.clone())

    def forward(self, x: Tensor) -> Tensor:
        """Apply the map once; x has shape ``(samples, 4)``."""
        return self.d * x + self.b


def unequal_samples() -> Tensor:
    """Offsets b of shape ``(2, 4)``: a large sample that converges fast, and a small one that converges slowly."""
    rows = [[SIZE, 0.0, 0.0, 0.0], [0.1 / SIZE, 0.2 / SIZE, -0.6 / SIZE, 1 / SIZE]]
    return torch.tensor(rows, dtype=torch.float64)


def solve_batch(solver: Solver, b: Tensor) -> tuple[Tensor, Tensor]:
    """The value x, and the gradient in b of ``⟨w, x⟩`` with ``w = b`` held constant; one row for each sample."""
    T = DiagonalMap(b)
    x = solver(T, torch.zeros_like(b)).x
    (gradient,) = torch.autograd.grad((b * x).sum(), T.b)
    return x.detach(), gradient


def stops_each_sample_alone(solver: Solver) -> str:
    """Require the value and the gradient of each sample to be the same in any batch.

    The samples differ in size by ten orders of magnitude, and the large one converges first. A norm, a stop or a weight
    over the batch is then that of the large sample, whatever the tolerance. ``CertifiedBackward`` makes the gradient of
    the whole batch to a tolerance, so only its values are checked.
    """
    b = unequal_samples()
    batch = solve_batch(solver, b)
    parts = ("value",) if isinstance(solver.backward_mode, CertifiedBackward) else ("value", "gradient")
    for i in range(len(b)):
        alone = solve_batch(solver, b[i : i + 1])
        for part, in_batch, single in zip(parts, batch, alone, strict=False):
            error = c.relative_error(in_batch[i : i + 1], single)
            require(
                error <= ROUNDING,
                f"the {part} of a sample differs by {error:.1e} beside one that is larger and converges sooner: "
                "stop each sample by itself, and take every norm along its own dimensions",
            )
    return "the same in any batch"
