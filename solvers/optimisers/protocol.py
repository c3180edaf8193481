"""The protocol of outer optimisers: an iterator of steps, which a caller may stop, log, and continue later.

    for step in LBFGS().minimise(objective, solver):
        log(step.work, step.evaluation.loss)
        if step.work > budget:
            torch.save(step.state, path)
            break
    for step in LBFGS().minimise(objective, solver, torch.load(path)):  # goes on with the next step
        …

Nothing is computed for a step before the iterator is asked for it. θ of the objective is that of the last evaluation
while the iterator runs; ``objective.move(step.evaluation.theta)`` sets it to that of a step.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from .._certificates.loss_enclosure import LossEnclosure
from .._core.solver import Solver
from .objective import BilevelObjective, Evaluation, State


@dataclass(frozen=True, slots=True)
class OuterStep:
    """A point that an optimiser has accepted; the first is the start.

    Attributes:
        number: 0 at the start.
        evaluation: the loss and the gradient there.
        work: applications and products so far, of rejected trials too.
        trials: evaluations so far, of rejected trials too.
        state: what ``minimise`` needs to go on after this step.
        enclosure: an interval that contains the exact F, if the optimiser computes one.
        why: why the optimiser stops here; empty if it goes on.
    """

    number: int
    evaluation: Evaluation
    work: float
    trials: int
    state: State = field(repr=False)
    enclosure: LossEnclosure | None = None
    why: str = ""


class Run(Protocol):
    """One descent, with its present point and counts."""

    why: str

    def start(self) -> OuterStep:
        """The start, evaluated."""
        ...

    def resume(self, state: State) -> None:
        """Go to where a step left ``state``."""
        ...

    def step(self) -> OuterStep:
        """The next step, or why there is none."""
        ...


def steps_of(run: Run, state: State | None) -> Iterator[OuterStep]:
    """The steps of a run from its start, or from the one after ``state``, until it says why it stops."""
    if state is None:
        yield run.start()
    else:
        run.resume(state)
    while not run.why:
        yield run.step()


class Optimiser(Protocol):
    """Settings of an optimiser: a frozen dataclass."""

    def minimise(
        self, objective: BilevelObjective, solver: Solver, state: State | None = None
    ) -> Iterator[OuterStep]:
        """Minimise F from the present θ by the gradients of ``solver``.

        Args:
            objective: F; its θ is moved.
            solver: the estimator of F'; some optimisers choose its tolerance.
            state: ``OuterStep.state`` of an earlier run of the same optimiser, after which it goes on as that run would
                have, to the bit.

        Returns:
            Steps, from the start on, or from the one after ``state``. Endless unless the optimiser has a reason to
            stop, which is ``why`` of its last step.
        """
        ...
