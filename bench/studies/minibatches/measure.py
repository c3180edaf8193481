"""Learn by a row: the exact loss on all crops and the products so far, at the end of each epoch."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import cast

import torch
from torch import Tensor

from solvers import Loss, Map, Solution, Solver, WarmStarts
from solvers.optimisers import BilevelObjective

from ...measurement.training import parameters
from ...tasks import Batch, Problem, Task, build_problem
from ...tasks.images import Images, Layout
from ...utils.random_streams import stream, stream_seed
from ..learning.exact import ExactLoss
from .row import Row, Starts


@dataclass(frozen=True, slots=True)
class Curve:
    """What a row did; lists have an entry for the initial θ, and one for each epoch.

    Attributes:
        losses: exact losses on all crops, at the θ of the last evaluation of the epoch; nan if it is not finite.
        products: applications and vector–Jacobian products so far, of rejected trials too. One of a batch counts as its
            share of the crops, so that batches and all crops are counted alike.
    """

    losses: list[float]
    products: list[float]


@dataclass(slots=True)
class PartsOfData:
    """The part of the data that is on show, as an objective and a solver see it.

    Attributes:
        problem: with all crops as its training batch.
        row: decides the solver and its starts.
        index: of the crops on show.
        warm: last states and adjoints of crops.
        last: the crops and the solution of the last solve.
    """

    problem: Problem
    row: Row
    index: Tensor
    warm: WarmStarts = field(default_factory=lambda: WarmStarts(None))
    last: tuple[list[int], Solution] | None = None

    @property
    def batch(self) -> Batch:
        """The crops on show."""
        return self.problem.train.select(self.index)

    def objective(self) -> BilevelObjective:
        """The loss on the crops on show, as a function of the parameters of the operator."""
        return BilevelObjective(
            lambda: self.problem.bind(self.batch),
            lambda x: self.problem.criterion(self.batch)(x),
            self.problem.start(self.batch),
            parameters(self.problem),
        )

    def __call__(self, T: Map, x0: Tensor, loss: Loss | None = None, /, u0: Tensor | None = None) -> Solution:
        """Solve from the starts of the crops on show, whatever the optimiser hands over of another batch."""
        self._keep_last()
        crops: list[int] = self.index.tolist()
        cold = self.problem.start(self.batch)
        start, adjoint = (cold, None) if self.row.starts is Starts.COLD else self.warm.starts(crops, cold)
        if self.row.starts is not Starts.BOTH:
            adjoint = None
        self.last = crops, self.row.solver(T, start, loss, u0=adjoint)
        return self.last[1]

    def _keep_last(self) -> None:
        # Adjoints are known after backward(), so at the next solve.
        if self.last is not None:
            crops, solution = self.last
            self.warm.keep(crops, solution.x, solution.adjoints)
            self.last = None


def steps_of(data: PartsOfData) -> Iterator[tuple[Tensor, float]]:
    """θ of each step on the crops on show, and the applications and products of the batch since the last one.

    An optimiser that sees no way on begins anew from where it is.
    """
    objective = data.objective()
    while True:
        before = 0.0
        for step in data.row.optimiser.minimise(objective, cast(Solver, data)):
            yield step.evaluation.theta, step.work - before
            before = step.work
            objective.move(step.evaluation.theta)


def measure(
    row: Row, task: Task, images: Images, layout: Layout, batch: int, epochs: int, seed: int, exact: ExactLoss
) -> Curve:
    """Learn for some epochs from the initial weights of the task, in float64.

    Args:
        row: what to measure.
        task, images, layout, seed: see ``build_problem``.
        batch: crops of a step.
        epochs: passes over the crops.
        exact: of the same task, images, layout and seed.

    Raises:
        UserError: there is no exact loss.
    """
    torch.manual_seed(stream_seed(seed, "everything else"))
    problem = build_problem(task, images, layout, seed, dtype=torch.float64)
    count = len(problem.train.y)
    order = stream(seed, "order of batches")
    everything = torch.arange(count)
    data = PartsOfData(problem, row, everything)
    steps, thetas = steps_of(data), [data.objective().theta()]
    products = [0.0]
    for _ in range(epochs):
        work, theta = products[-1], thetas[-1]
        for part in [everything] if row.whole else torch.randperm(count, generator=order).split(batch):
            data.index = part
            theta, spent = next(steps)
            work += spent * len(part) / count
        thetas.append(theta)
        products.append(work)
    exact.restart()
    losses = [exact(theta) if bool(theta.isfinite().all()) else math.nan for theta in thetas]
    return Curve(losses, products)
