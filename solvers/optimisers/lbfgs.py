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
    2005). A rejected step is shortened by the minimiser of a parabola. Each trial is a solve from the last solution;
    its gradient is computed if the loss does not reject it.

    If ``trials`` trials of a step fail, the point is evaluated again, and the gradient tried. If that fails, and before
    it if there is one, it goes on with the next of the solvers ``finer``: far from the minimum a cheap gradient does,
    and its error shows where no step lowers the loss any more. It ends if all fail.

    Attributes:
        first, longest: lengths of steps in θ.
        memory: number of pairs.
        noise: relative error of losses.
        trials: of a step.
        warm_adjoint: start adjoint solves at the last adjoint. That costs a product, and the errors of gradients that
            follow one another are then alike, which misleads the curvature pairs unless tolerances are tight: on four
            tasks it took 0.94 to 1.12 times the products to 99 % of the gain at residuals of 3e-3, and up to 2.7 times
            at 0.2.
        finer: solvers to go on with.

    Raises:
        ValueError: a setting is not positive.
    """

    first: float = 2.0
    longest: float = 4.0
    memory: int = 10
    noise: float = 1e-6
    trials: int = 4
    warm_adjoint: bool = False
    finer: tuple[Solver, ...] = ()

    def __post_init__(self) -> None:
        for name in ("first", "longest", "noise"):
            positive(name, getattr(self, name))
        at_least("memory", self.memory, 1)
        at_least("trials", self.trials, 1)

    def minimise(
        self, objective: BilevelObjective, solver: Solver, state: State | None = None
    ) -> Iterator[OuterStep]:
        """See ``Optimiser``."""
        evaluator = Evaluator(objective, state, self.warm_adjoint)
        pairs: Pairs = []
        ladder, stage = (solver, *self.finer), 0
        if state is None:
            here, number, trials = evaluator.evaluate(objective.theta(), solver), 0, 1
            yield OuterStep(0, here, evaluator.work, 1, _saved(evaluator, here, pairs, 0, 1, 0))
        else:
            number, trials, stage = state["number"], state["trials"], state["stage"]
            pairs = [(s, y) for s, y in state["pairs"]]
            here = Evaluation(state["here"], state["loss"], state["gradient"], state["step_work"])
        why = ""
        while not why:
            found, used = self._search(evaluator, ladder[stage], here, self._step(here.gradient, pairs))
            trials += used
            while found is None and (pairs or stage + 1 < len(ladder)):
                if stage + 1 < len(ladder):
                    stage += 1
                else:
                    pairs = []
                # Trials that start at the last solution may be more exact than this point was: it is measured anew.
                here = evaluator.evaluate(here.theta, ladder[stage])
                found, used = self._search(evaluator, ladder[stage], here, self._step(here.gradient, pairs))
                trials += used + 1
            number += 1
            if found is None:
                why = "no trial along the gradient lowers the loss"
            else:
                s, y = found.theta - here.theta, found.gradient - here.gradient
                pairs, here = extended(pairs, s, y, self.memory), found
            saved = _saved(evaluator, here, pairs, number, trials, stage)
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
        for number in range(1, self.trials + 1):
            trial = evaluator.begin(here.theta + size * step, solver)
            change = trial.loss - here.loss
            lower = change <= SUFFICIENT * size * slope
            if lower or abs(change) <= allowed:
                there = trial.finish()
                if lower or abs(inner(there.gradient, step)) <= FLAT * abs(slope):
                    return there, number
            size *= _shortening(change, size * slope)
        return None, self.trials


def _shortening(change: float, slope: float) -> float:
    """The minimiser in ``[SHORTEST, LONGEST]`` of the parabola on [0, 1] with these values, and this slope at 0."""
    if not math.isfinite(change):
        return SHORTEST
    curvature = change - slope
    place = -slope / (2 * curvature) if curvature > 0 else LONGEST
    return min(LONGEST, max(SHORTEST, place))


def _saved(
    evaluator: Evaluator, here: Evaluation, pairs: Pairs, number: int, trials: int, stage: int
) -> dict[str, Any]:
    return {
        **evaluator.state(),
        "here": here.theta,
        "loss": here.loss,
        "gradient": here.gradient,
        "step_work": here.work,
        "pairs": [list(pair) for pair in pairs],
        "number": number,
        "trials": trials,
        "stage": stage,
    }
