"""HOAG: gradient descent with tolerances that decrease by a fixed sequence (Pedregosa, arXiv 1602.02355)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from .._adjoint.gmres import GMRES
from .._backward.modes import ImplicitDifferentiation
from .._core.argument_checks import fraction, positive
from .._core.batch import norm
from .._core.solver import Solver
from .._forward.anderson import Anderson
from .objective import BilevelObjective, Evaluation, Evaluator, State
from .protocol import OuterStep

SHRINK, GROW = 0.5, 1.05
"""Factors of the step size after a step that raised the loss by more than the tolerances explain, and after others."""


@dataclass(frozen=True, slots=True)
class HOAG:
    """``θ ← θ − η g`` with both equations solved to ``ε_k = start · rate^k``, which is summable.

    No step is taken back. Its size halves if the loss rises by more than ``ε_k``, relative to the loss, and grows by
    5 % otherwise. That stands in for the test of the paper, whose Lipschitz constants are not known. The first step has
    length ``first``. The solver is not used: both equations are solved by Anderson and GMRES.

    Attributes:
        first: length of the first step in θ.
        start, rate, last: first tolerance, its factor per step, and the smallest, all relative residuals.

    Raises:
        ValueError: ``first`` is not positive, or another setting not in (0, 1].

    Source: Pedregosa (arXiv 1602.02355), after its idea; the rule for the step size is a stand-in.
    """

    first: float = 1.0
    start: float = 0.1
    rate: float = 0.9
    last: float = field(default=1e-10, repr=False)

    def __post_init__(self) -> None:
        positive("first", self.first)
        for name in ("start", "rate", "last"):
            fraction(name, getattr(self, name))

    def minimise(
        self, objective: BilevelObjective, solver: Solver, state: State | None = None
    ) -> Iterator[OuterStep]:
        """See ``Optimiser``."""
        evaluator = Evaluator(objective, state)
        number, size, before, theta = 0, math.nan, math.inf, objective.theta()
        if state is not None:
            number, size, before, theta = (
                state["number"] + 1,
                state["size"],
                state["evaluated"],
                state["next"],
            )
        while True:
            tol = max(self.last, self.start * self.rate**number)
            here: Evaluation = evaluator.evaluate(theta, _solver(tol))
            if math.isnan(size):
                size = self.first / (norm(here.gradient) or 1.0)
            else:
                size *= GROW if here.loss <= before + tol * abs(before) else SHRINK
            before, theta = here.loss, here.theta - size * here.gradient
            saved = {
                **evaluator.state(),
                "number": number,
                "size": size,
                "evaluated": before,
                "next": theta,
            }
            yield OuterStep(number, here, evaluator.work, number + 1, saved)
            number += 1


def _solver(tol: float) -> Solver:
    return Solver(f"hoag at {tol:.1e}", Anderson(tol), ImplicitDifferentiation(GMRES(tol)))
