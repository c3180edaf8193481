"""Ways to approach a fixed point without a tape.

The same policies serve both directions: the equilibrium ``x = T(x)``, and the adjoint equation
``u = v + Jᵀu``, which is a fixed point too (see ``_pull.Implicit``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from ._batch import relative, rows
from ._core import Equilibrium, Map, Report, at_least, positive


@dataclass(frozen=True, slots=True)
class Iterate:
    """``steps`` plain (Picard) applications, nothing measured: exactly ``steps`` calls of T.

    Raises:
        ValueError: ``steps`` is negative.
    """

    steps: int

    def __post_init__(self) -> None:
        at_least("steps", self.steps, 0)

    def __call__(self, T: Map, x0: Tensor, /) -> Equilibrium:
        x = x0
        for _ in range(self.steps):
            x = T(x)
        return Equilibrium(x, Report(self.steps))


@dataclass(frozen=True, slots=True)
class Picard:
    """Plain applications until the relative residual of every sample is at most ``tol``.

    The point returned is the one whose residual was measured, so the number is its own: the last
    application only proves it. Costs one application more than the iterations it makes.

    Raises:
        ValueError: ``tol`` is not positive, or ``budget`` is below 1.
    """

    tol: float = 1e-6
    budget: int = 1000

    def __post_init__(self) -> None:
        positive("tol", self.tol)
        at_least("budget", self.budget, 1)

    def __call__(self, T: Map, x0: Tensor, /) -> Equilibrium:
        x, residual = x0, math.inf
        for applications in range(1, self.budget + 1):
            y = T(x)
            residual = float(relative(rows(y - x), rows(y)).max())
            if residual <= self.tol or math.isnan(residual) or applications == self.budget:
                return Equilibrium(x, Report(applications, residual, residual <= self.tol))
            x = y
        raise AssertionError("the loop above returns")
