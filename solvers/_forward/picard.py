"""Plain ways to approach a fixed point without a tape.

The same policies serve both directions: the equilibrium ``x = T(x)``, and the adjoint equation
``u = v + Jᵀu``, which is a fixed point too (see ``_pull.Implicit``).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .._core.argument_checks import at_least, positive
from .._core.batch import rows
from .._core.maps import Map
from .._core.results import FixedPoint, SolveReport
from .loop import run_until_converged


@dataclass(frozen=True, slots=True)
class FixedSteps:
    """``steps`` plain (Picard) applications, nothing measured: exactly ``steps`` calls of T.

    Raises:
        ValueError: ``steps`` is negative.
    """

    steps: int

    def __post_init__(self) -> None:
        at_least("steps", self.steps, 0)

    def __call__(self, T: Map, x0: Tensor, /) -> FixedPoint:
        x = x0
        for _ in range(self.steps):
            x = T(x)
        return FixedPoint(x, SolveReport(self.steps))


@dataclass(frozen=True, slots=True)
class Picard:
    """Plain applications until the relative residual of every sample is at most ``tol``.

    The point returned is the one whose residual was measured, so the number is its own: the last
    application only proves it.

    Attributes:
        tol: relative residual to reach.
        budget: applications at most.
        every: applications from one look at the residual to the next; a look costs three passes over x.

    Raises:
        ValueError: ``tol`` is not positive, or ``budget`` or ``every`` is below 1.
    """

    tol: float = 1e-6
    budget: int = 1000
    every: int = 4

    def __post_init__(self) -> None:
        positive("tol", self.tol)
        at_least("budget", self.budget, 1)
        at_least("every", self.every, 1)

    def __call__(self, T: Map, x0: Tensor, /) -> FixedPoint:
        return run_until_converged(T, x0, _Plain(rows(x0)), self.tol, self.budget, self.every)


class _Plain:
    """The next point is ``T(x)``."""

    patience = 0
    records = False

    def __init__(self, x: Tensor) -> None:
        self._f = torch.empty_like(x)

    def difference(self, y: Tensor, x: Tensor) -> Tensor:
        return torch.sub(y, x, out=self._f)

    def next(self, y: Tensor) -> Tensor:
        return y

    def forget(self, lost: Tensor) -> None:
        pass

    def end(self, ended: Tensor) -> None:
        pass

    def keep(self, index: Tensor) -> None:
        self._f = self._f[index]
