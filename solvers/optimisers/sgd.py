"""Gradient descent with momentum, as in ``torch.optim``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from .._core.argument_checks import positive
from .._core.solver import Solver
from .objective import BilevelObjective, State
from .protocol import OuterStep
from .torch_optimiser import steps


@dataclass(frozen=True, slots=True)
class SGD:
    """``torch.optim.SGD`` on the whole batch, one evaluation a step.

    Attributes:
        lr: step size; the change of θ is ``lr`` times the gradient, so it depends on the scale of the loss.
        momentum: in [0, 1).

    Raises:
        ValueError: ``lr`` is not positive, or ``momentum`` not in [0, 1).
    """

    lr: float
    momentum: float = 0.0

    def __post_init__(self) -> None:
        positive("lr", self.lr)
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum must lie in [0, 1), not {self.momentum!r}")

    def minimise(
        self, objective: BilevelObjective, solver: Solver, state: State | None = None
    ) -> Iterator[OuterStep]:
        """See ``Optimiser``."""
        return steps(objective, solver, lambda leaves: torch.optim.SGD(leaves, self.lr, self.momentum), state)
