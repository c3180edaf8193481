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

SHRINK, GROW = 0.5, 1 / 0.95
"""Factors of the step size after a loss that rose, and after one that fell as far as the step size promised."""


@dataclass(frozen=True, slots=True)
class HOAG:
    """``θ ← θ − g/L`` with both equations solved to ``ε_k = start · rate^k``, which is summable.

    Adjoint solves start at the last adjoint. No step is taken back. After the loss ``F_k`` and a step of length s, with
    ``F_k − ε_{k+1} ≤ F_{k−1} + ε_k (1 + s) − L s²/2`` the step size ``1/L`` grows by a twentieth; else, if
    ``F_k > F_{k−1}``, it halves. The solver is not used: both equations are solved by Anderson and GMRES.

    Attributes:
        first: length of the first step in θ; by default 1 over the number of parameters.
        start, rate, last: first tolerance, its factor per step, and the smallest, all relative residuals.

    Raises:
        ValueError: ``first`` is not positive, or another setting not in (0, 1].

    Source: Pedregosa (arXiv 1602.02355). Checked line by line against the author's code (github.com/fabianp/hoag,
    ``hoag/hoag.py``), whose tolerances, first step, rule for L and warm adjoint these are; not against the text of the
    paper. What differs: ε is relative to the loss in the rule, whose losses are of order 1 there; the equations are
    those of a fixed point; there is no box for θ; the first step has length ``first`` however small the gradient is.
    """

    first: float | None = None
    start: float = 0.01
    rate: float = 0.9
    last: float = field(default=1e-12, repr=False)

    def __post_init__(self) -> None:
        if self.first is not None:
            positive("first", self.first)
        for name in ("start", "rate", "last"):
            fraction(name, getattr(self, name))

    def minimise(
        self, objective: BilevelObjective, solver: Solver, state: State | None = None
    ) -> Iterator[OuterStep]:
        """See ``Optimiser``."""
        evaluator = Evaluator(objective, state, warm_adjoint=True)
        number, size, before, theta = 0, math.nan, math.inf, objective.theta()
        if state is not None:
            number, size, before, theta = (
                state["number"] + 1,
                state["size"],
                state["evaluated"],
                state["next"],
            )
        while True:
            tol = self._tol(number)
            here: Evaluation = evaluator.evaluate(theta, _solver(tol))
            if math.isnan(size):
                size = (self.first or 1 / len(theta)) / (norm(here.gradient) or 1.0)
            theta = here.theta - size * here.gradient
            length = size * norm(here.gradient)
            slack = (self._tol(number + 1) + tol * (1 + length)) * abs(here.loss)
            if here.loss - slack <= before - length**2 / (2 * size):
                size *= GROW
            elif here.loss > before:
                size *= SHRINK
            before = here.loss
            saved = {
                **evaluator.state(),
                "number": number,
                "size": size,
                "evaluated": before,
                "next": theta,
            }
            yield OuterStep(number, here, evaluator.work, number + 1, saved)
            number += 1

    def _tol(self, number: int) -> float:
        return max(self.last, self.start * self.rate**number)


def _solver(tol: float) -> Solver:
    return Solver(f"hoag at {tol:.1e}", Anderson(tol), ImplicitDifferentiation(GMRES(tol)))
