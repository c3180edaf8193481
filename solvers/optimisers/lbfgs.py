"""L-BFGS on the whole batch, with a line search for inexact losses and gradients."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from .._core.argument_checks import at_least, positive
from .._core.batch import inner, norm
from .._core.solver import Solver
from .lbfgs_memory import Pairs, direction, extended
from .objective import BilevelObjective, Evaluation, Evaluator, State
from .protocol import OuterStep

SUFFICIENT = 1e-4
"""Armijo's constant: the share of the decrease that the slope promises."""
FLAT = 0.9
"""A trial whose loss is noise is accepted if its slope is no more than this times the first one, in size."""
SHORTEST, LONGEST = 0.1, 0.5
"""Range of the factor by which a rejected step is shortened."""


@dataclass(frozen=True, slots=True)
class LBFGS:
    """L-BFGS (Nocedal & Wright 2006, algorithm 7.5) with backtracking, and no scale of the loss in its settings.

    The first step, and one without curvature pairs, has length ``first``; later ones are tried as they are, up to
    ``longest``. Lengths are Euclidean in θ, which suits log-weights: a unit is a factor of e of one weight. A trial is
    accepted if the loss falls as Armijo's rule asks. Losses within ``noise`` of each other tell nothing; such a trial
    is accepted if the slope along the step has become smaller in size (the approximate Wolfe rule of Hager & Zhang
    2005). A rejected step is shortened by the minimiser of a cubic. Each trial is a full evaluation, from the last
    solution, so that its gradient shapes the cubic and is at hand once it is accepted.

    If ``trials`` trials of a step fail, the point is evaluated again, and the gradient tried. It ends if that fails.

    Attributes:
        first, longest: lengths of steps in θ.
        memory: number of pairs.
        noise: relative error of losses.
        trials: of a step.

    Raises:
        ValueError: a setting is not positive.
    """

    first: float = 2.0
    longest: float = 4.0
    memory: int = 10
    noise: float = 1e-6
    trials: int = 4

    def __post_init__(self) -> None:
        for name in ("first", "longest", "noise"):
            positive(name, getattr(self, name))
        at_least("memory", self.memory, 1)
        at_least("trials", self.trials, 1)

    def minimise(
        self, objective: BilevelObjective, solver: Solver, state: State | None = None
    ) -> Iterator[OuterStep]:
        """See ``Optimiser``."""
        evaluator = Evaluator(objective, state)
        pairs: Pairs = []
        if state is None:
            here, number, trials = evaluator.evaluate(objective.theta(), solver), 0, 1
            yield OuterStep(0, here, evaluator.work, 1, _saved(evaluator, here, pairs, 0, 1))
        else:
            number, trials, pairs = state["number"], state["trials"], [(s, y) for s, y in state["pairs"]]
            here = Evaluation(objective.theta(), state["loss"], state["gradient"], state["step_work"])
        why = ""
        while not why:
            found, used = self._search(evaluator, solver, here, self._step(here.gradient, pairs))
            trials += used
            if found is None:
                # Trials that start at the last solution may be more exact than this point was: it is measured anew.
                pairs, again = [], evaluator.evaluate(here.theta, solver)
                found, used = self._search(evaluator, solver, again, self._step(again.gradient, pairs))
                trials, here = trials + used + 1, again
            number += 1
            if found is None:
                why = "no trial along the gradient lowers the loss"
            else:
                s, y = found.theta - here.theta, found.gradient - here.gradient
                pairs, here = extended(pairs, s, y, self.memory), found
            saved = _saved(evaluator, here, pairs, number, trials)
            yield OuterStep(number, here, evaluator.work, trials, saved, why=why)

    def _step(self, gradient: Tensor, pairs: Pairs) -> Tensor:
        step = direction(gradient, pairs)
        if not pairs or not inner(step, gradient) < 0:
            return gradient * (-self.first / (norm(gradient) or 1))
        return step * min(1.0, self.longest / norm(step))

    def _search(
        self, evaluator: Evaluator, solver: Solver, here: Evaluation, step: Tensor
    ) -> tuple[Evaluation | None, int]:
        """The first acceptable trial along ``step``, ``None`` if there is none, and the number of trials."""
        slope, size = inner(here.gradient, step), 1.0
        allowed = self.noise * abs(here.loss)
        for trial in range(1, self.trials + 1):
            there = evaluator.evaluate(here.theta + size * step, solver)
            change, end = there.loss - here.loss, inner(there.gradient, step)
            if change <= SUFFICIENT * size * slope or (
                abs(change) <= allowed and abs(end) <= FLAT * abs(slope)
            ):
                return there, trial
            size *= _shortening(change, size * slope, size * end)
        return None, self.trials


def _shortening(change: float, slope: float, end: float) -> float:
    """The minimiser in ``[SHORTEST, LONGEST]`` of the cubic on [0, 1] with these values and slopes at its ends."""
    if not (math.isfinite(change) and math.isfinite(end)):
        return SHORTEST
    d = slope + end - 3 * change
    root = d * d - slope * end
    if root < 0:
        return LONGEST
    denominator = end - slope + 2 * math.sqrt(root)
    place = 1 - (end + math.sqrt(root) - d) / denominator if denominator else LONGEST
    return min(LONGEST, max(SHORTEST, place))


def _saved(evaluator: Evaluator, here: Evaluation, pairs: Pairs, number: int, trials: int) -> dict[str, Any]:
    return {
        **evaluator.state(),
        "theta": here.theta,
        "loss": here.loss,
        "gradient": here.gradient,
        "step_work": here.work,
        "pairs": [list(pair) for pair in pairs],
        "number": number,
        "trials": trials,
    }
