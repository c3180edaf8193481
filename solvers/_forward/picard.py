"""Plain fixed-point iterations.

Like every forward solver they solve ``x = T(x)`` as well as the adjoint equation ``u = v + Jᵀu``, which is a fixed
point too (see ``ImplicitDifferentiation``).
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from .._core.argument_checks import at_least, stopping_rule
from .._core.batch import rows
from .._core.maps import Map
from .._core.results import FixedPoint, SolveReport
from .loop import Update, run_until_converged


@dataclass(frozen=True, slots=True)
class FixedSteps:
    """``x ← T(x)`` exactly ``steps`` times, without measuring a residual.

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
    """``x ← T(x)`` until the relative residual of every sample is at most ``tol``.

    The returned point is the one whose residual was measured, not its image: the last application only measures.

    Attributes:
        tol: relative residual ``‖T(x) − x‖ / ‖T(x)‖``.
        budget: maximal number of applications.
        every: applications per measurement of the residual, which costs three passes over x.

    Raises:
        ValueError: ``tol`` is not positive, or ``budget`` or ``every`` is below 1.
    """

    tol: float = 1e-6
    budget: int = 1000
    every: int = 4

    def __post_init__(self) -> None:
        stopping_rule(self.tol, budget=self.budget, every=self.every)

    def __call__(self, T: Map, x0: Tensor, /) -> FixedPoint:
        return run_until_converged(T, x0, Update(rows(x0)), self.tol, self.budget, self.every)
