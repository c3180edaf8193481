"""Adam (Kingma & Ba, arXiv 1412.6980), as in ``torch.optim``."""

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
class Adam:
    """``torch.optim.Adam``, one evaluation a step.

    Attributes:
        lr: step size, about the change of each parameter in the first steps.
        betas: of the averages of gradients and of their squares.

    Raises:
        ValueError: ``lr`` is not positive.
    """

    lr: float = 0.1
    betas: tuple[float, float] = (0.9, 0.999)

    def __post_init__(self) -> None:
        positive("lr", self.lr)

    def minimise(
        self, objective: BilevelObjective, solver: Solver, state: State | None = None
    ) -> Iterator[OuterStep]:
        """See ``Optimiser``."""
        return steps(
            objective, solver, lambda leaves: torch.optim.Adam(leaves, lr=self.lr, betas=self.betas), state
        )
