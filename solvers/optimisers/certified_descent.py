"""L-BFGS whose steps provably lower the exact loss, with solves that are no more exact than the proof needs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from .._backward.certified import CertifiedBackward
from .._certificates.loss_enclosure import LossEnclosure
from .._core.argument_checks import at_least, positive
from .._core.batch import inner, norm
from .._core.solver import Solver
from .lbfgs_memory import Pairs, direction, extended
from .loss_search import EnclosedPoint, Wish, search
from .objective import BilevelObjective, Evaluation, State
from .protocol import OuterStep, steps_of

POOR = 0.05
"""A trial is rejected once it is certain that it lowers F by less than this share of what the slope promises."""
START = 1e-3
"""Relative residual of the first approach of all."""
TIGHTER = 0.3
"""Factor of the radius that is asked for while a trial is undecided."""
TIGHTEST = 1e-3
"""Smallest relative residual of the adjoint equation."""
SHARPER, SHARPENINGS = 0.1, 2
"""Factor of the residual of the adjoint equation where no step lowers F, and how often it is applied to a step."""
SHORTER = 0.3
"""Factor of a step that is rejected."""


@dataclass(frozen=True, slots=True)
class CertifiedDescent:
    """L-BFGS steps, accepted only if enclosures of the exact F prove that it falls.

    With ``F(θ) ∈ [lower, upper]`` before and after a step (see ``LossEnclosure``), the step is accepted if the new
    ``upper`` is below the old ``lower``, and rejected if ``old upper − new lower`` is below ``POOR`` times the decrease
    that the slope promises. While neither holds, the wider of the two is narrowed, from its own last state and
    adjoint. A trial is first enclosed within ``share`` of half its promised decrease, so solves are loose while steps
    gain much, and tight near a minimum. The residual of the adjoint equation is at most ``rtol`` of the solver, and
    falls with the root of the gradient: it may cost steps, but no certainty, since the enclosure accounts for it.

    So no accepted step raises F if the enclosures are rigorous; ``OuterStep.enclosure`` says whether they are. It ends,
    and says why, if the slope promises less than ``tol`` of the loss; if no step along the gradient lowers F; or if
    the budget of the solver is spent on one step and it is still undecided.

    The solver must be ``certified(rtol, budget)``: the loosest residual of the adjoint, and the limit of a step.

    Attributes:
        first, longest, memory: see ``LBFGS``.
        share: radius of a trial, relative to half the promised decrease.
        tol: smallest promised decrease, relative to the loss.
        trials: of a step along one direction.

    Raises:
        ValueError: a setting is not positive.

    Source: this project's own; MAID (arXiv 2308.10098) backtracks on inexact losses with estimated bounds.
    """

    first: float = 2.0
    longest: float = 4.0
    memory: int = 10
    share: float = 0.3
    tol: float = 1e-6
    trials: int = 6

    def __post_init__(self) -> None:
        for name in ("first", "longest", "share", "tol"):
            positive(name, getattr(self, name))
        at_least("memory", self.memory, 1)
        at_least("trials", self.trials, 1)

    def minimise(
        self, objective: BilevelObjective, solver: Solver, state: State | None = None
    ) -> Iterator[OuterStep]:
        """See ``Optimiser``.

        Raises:
            ValueError: the solver is not ``certified(…)``; T states no derivative bounds, or L is not below 1.
        """
        mode = solver.backward_mode
        if not isinstance(mode, CertifiedBackward):
            raise ValueError(f"certified descent needs the solver certified(rtol), not {solver.label}")
        yield from steps_of(_Run(self, objective, mode.rtol, mode.budget), state)


class _Run:
    """One descent: the present point, its pairs, and counts."""

    def __init__(
        self, settings: CertifiedDescent, objective: BilevelObjective, rtol: float, budget: int
    ) -> None:
        self.settings, self.objective, self.rtol, self.budget = settings, objective, rtol, budget
        self.pairs: Pairs = []
        self.here: EnclosedPoint
        self.work = self.before = 0
        self.size = self.length = 0.0  # of the first gradient, and of the last step
        self.sharp = 1.0
        self.number, self.trials, self.why = 0, 0, ""

    def start(self) -> OuterStep:
        """Enclose the start within a tenth of its loss."""
        theta, x0 = self.objective.theta(), self.objective.start
        self.here = self._searched(theta, x0, None, START, math.inf)
        if not self.here.enclosure.radius < math.inf:
            raise ValueError(f"certified descent has no bound on the loss: {self.here.enclosure.why}")
        self.trials, self.size = 1, norm(self.here.gradient)
        return self._yielded()

    def step(self) -> OuterStep:
        """One accepted step, or the reason why there is none."""
        limit = self.work + self.budget
        step = self._direction()
        found = self._along(step)
        for _ in range(SHARPENINGS):
            if found is not None or self.work >= limit:
                break
            # The gradient may be too inexact to descend along.
            self.pairs, self.why = [], ""
            self.sharp *= SHARPER
            self.here = self._searched(
                self.here.theta, self.here.x, self.here.u, 0.0, self.here.enclosure.radius
            )
            found = self._along(self._direction())
        if found is None and not self.why:
            self.why = "no step along the gradient lowers the exact loss"
        if found is not None:
            s, y = found.theta - self.here.theta, found.gradient - self.here.gradient
            self.pairs = extended(self.pairs, s, y, self.settings.memory)
            self.length = norm(s)
            self.here = found
        self.number += 1
        return self._yielded()

    def _direction(self) -> Tensor:
        gradient, settings = self.here.gradient, self.settings
        step = direction(gradient, self.pairs)
        if not self.pairs or not inner(step, gradient) < 0:
            return gradient * (-(self.length or settings.first) / (norm(gradient) or 1))
        return step * min(1.0, settings.longest / norm(step))

    def _along(self, step: Tensor) -> EnclosedPoint | None:
        """The first trial along ``step`` that lowers F for certain; ``None`` if there is none, or it says why."""
        limit = self.work + self.budget
        size, slope = 1.0, -inner(self.here.gradient, step)
        for _ in range(self.settings.trials):
            promised = size * slope
            if promised < self.settings.tol * abs(self.here.loss):
                if size == 1:
                    self.why = "the decrease that the slope promises is below tol"
                return None
            radius = 0.5 * self.settings.share * promised
            tol = min(START, (radius / self.here.scale) ** (2 / 3)) if self.here.scale else START
            there = self._searched(self.here.theta + size * step, self.here.x, self.here.u, tol, radius)
            self.trials += 1
            while not (lowers := there.enclosure.upper < self.here.enclosure.lower):
                if self.here.enclosure.upper - there.enclosure.lower < POOR * promised:
                    break
                if self.work >= limit:
                    self.why = "the budget of a step is spent, and it is undecided whether it lowers the loss"
                    return None
                there = self._decide(there)
            if lowers:
                return there
            size *= SHORTER
        return None

    def _decide(self, there: EnclosedPoint) -> EnclosedPoint:
        """Narrow the wider of the two enclosures; return the trial."""
        if self.here.enclosure.radius >= there.enclosure.radius:
            # Its gradient stays: the step was chosen by it.
            self.here = replace(self._narrowed(self.here), gradient=self.here.gradient)
            return there
        return self._narrowed(there)

    def _adjoint_tol(self) -> float:
        """``rtol`` at the start, less as the gradient becomes smaller than the first, and its parts cancel."""
        if not self.size:
            return self.rtol
        share = min(1.0, (norm(self.here.gradient) / self.size) ** 0.5)
        return max(TIGHTEST, self.sharp * self.rtol * share)

    def _narrowed(self, point: EnclosedPoint) -> EnclosedPoint:
        return self._searched(point.theta, point.x, point.u, 0.0, TIGHTER * point.enclosure.radius)

    def _searched(
        self, theta: Tensor, x: Tensor, u: Tensor | None, tol: float, radius: float
    ) -> EnclosedPoint:
        point, spent = search(
            self.objective, theta, x, u, tol, Wish(radius, self._adjoint_tol(), self.budget)
        )
        self.work += spent
        return point

    def _yielded(self) -> OuterStep:
        here = self.here
        evaluation = Evaluation(here.theta, here.loss, here.gradient, self.work - self.before, None, here.met)
        self.before = self.work
        return OuterStep(
            self.number, evaluation, self.work, self.trials, self._state(), here.enclosure, self.why
        )

    def _state(self) -> dict[str, Any]:
        here = self.here
        return {
            "theta": here.theta,
            "gradient": here.gradient,
            "x": here.x,
            "u": here.u,
            "residual": here.residual,
            "loss": here.loss,
            "met": here.met,
            "enclosure": _fields(here.enclosure),
            "pairs": [list(pair) for pair in self.pairs],
            "work": self.work,
            "size": self.size,
            "length": self.length,
            "sharp": self.sharp,
            "number": self.number,
            "trials": self.trials,
            "why": self.why,
        }

    def resume(self, state: State) -> None:
        """Go on after the step of ``state``."""
        self.objective.move(state["theta"])
        self.here = EnclosedPoint(
            state["theta"],
            state["gradient"],
            state["x"],
            state["u"],
            state["residual"],
            state["loss"],
            LossEnclosure(*state["enclosure"]),
            state["met"],
        )
        self.pairs = [(s, y) for s, y in state["pairs"]]
        self.work = self.before = state["work"]
        self.size, self.length, self.sharp = state["size"], state["length"], state["sharp"]
        self.number, self.trials, self.why = state["number"], state["trials"], state["why"]


def _fields(value: LossEnclosure) -> list[Any]:
    return [getattr(value, name) for name in value.__dataclass_fields__]
