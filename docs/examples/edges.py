"""An operator: gradient steps on a smooth total variation, whose two weights are learned.

Use it, from the checkout of the project, as

    python -m bench cell --task 'deblurring(docs/examples/edges.py:edges(0.02))' --solver 'deq(0.001)'
    python -m theory_checks check 'docs/examples/edges.py:edges'
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from deepinv.physics import LinearPhysics
from torch import Tensor, nn

from bench.operators import DataFidelity, Operator, data_fidelity

SMOOTHING = 0.1
"""δ of ``√(t² + δ²)``, in grey levels of [0, 1]; its second derivative is at most 1/δ."""
RIDGE = 0.05
"""ε of ``ε/2 ‖x − ½‖²``, without which flat images would have no equilibrium of their own."""


class EdgeStep(Operator):
    """A gradient step on ``½‖A x − y‖² + Σ_i e^{w_i} Σ √((D_i x)² + δ²) + ε/2 ‖x − ½‖²``, D the two differences."""

    def __init__(self, step: float, weight: Tensor) -> None:
        super().__init__()
        self.step = step
        self.log_weights = nn.Parameter(weight.log().expand(2).clone())

    def bound(self) -> Tensor:
        """Of the second derivative of what is not the data term: ``‖D_i‖² = 4`` for circular differences."""
        return RIDGE + 4 * self.log_weights.exp().sum() / SMOOTHING

    def forward(
        self, x: Tensor, y: Tensor, physics: LinearPhysics, *, data: DataFidelity | None = None
    ) -> Tensor:
        """One step on images ``(B, C, H, W)``, as long as the bound allows for ``‖A‖ ≤ 1``."""
        data = data or data_fidelity(y, physics)
        slope = RIDGE * (x - 0.5)
        for weight, axis in zip(self.log_weights.exp(), (-2, -1), strict=True):
            d = x.roll(-1, axis) - x
            d = weight * d / (d.square() + SMOOTHING**2).sqrt()
            slope = slope + d.roll(1, axis) - d
        return x + self.step / (1 + self.bound()) * (data.descent(x) - slope)

    def contraction(self, spectrum: tuple[float, float]) -> float:
        """The second derivative lies between ``α + ε`` and ``β + bound``."""
        bound = float(self.bound().detach())
        tau = self.step / (1 + bound)
        return max(abs(1 - tau * (spectrum[0] + RIDGE)), abs(1 - tau * (spectrum[1] + bound)))


@dataclass(frozen=True)
class Edges:
    """The prior: what is known before the size of an image is."""

    weight: float
    layers: int = 0

    @property
    def label(self) -> str:
        """The call, as tables print it."""
        return f"edges({self.weight:g})"

    def operator(
        self, shape: tuple[int, ...], step: float, dtype: torch.dtype, device: torch.device | str
    ) -> Operator:
        """The operator for images ``(C, H, W)``."""
        return EdgeStep(step, torch.tensor(self.weight, dtype=dtype, device=device))


def edges(weight: float = 0.02) -> Edges:
    """A smooth total variation with a weight for vertical and one for horizontal differences."""
    if not 0 < weight < math.inf:
        raise ValueError(f"weight must be a positive number, not {weight!r}")
    return Edges(float(weight))
