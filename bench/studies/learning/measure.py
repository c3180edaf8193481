"""Measure one row on one task and seed: its steps, what they cost, and the exact loss at each."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace

import torch
from torch import Tensor

from ...tasks import Task, build_problem
from ...tasks.images import Images, Layout
from ...utils.random_streams import stream_seed
from .exact import ExactLoss
from .objective import CountedObjective, Exhausted
from .row import Row


@dataclass(frozen=True, slots=True)
class Learned:
    """What a row did on a task with a seed; lists begin at the initial θ, and have an entry for each step after it.

    Attributes:
        losses: exact training losses; nan from where θ is not finite.
        products: applications and vector–Jacobian products so far, those of line searches included.
        seconds: of the optimisation loop so far, of this process on one thread, without exact losses.
        evaluations: evaluations of loss and gradient so far.
        tape: bytes that the first evaluation keeps for its backward pass.
        ended: why there is no further step.
    """

    losses: list[float]
    products: list[float]
    seconds: list[float]
    evaluations: list[int]
    tape: int
    ended: str

    def columns(self) -> dict[str, object]:
        """For a JSON file."""
        return asdict(self)


def measure(row: Row, task: Task, images: Images, layout: Layout, seed: int, exact: ExactLoss) -> Learned:
    """Learn by a row from the initial weights of the task, on its training crops in float64.

    Args:
        row: what to measure.
        task, images, layout, seed: see ``build_problem``; the operator is the row's.
        exact: of the same task, images, layout and seed.

    Raises:
        UserError: the row's operator does not admit the task.
    """
    torch.manual_seed(stream_seed(seed, "everything else"))
    task = replace(task, splitting=row.splitting)
    objective = CountedObjective(
        build_problem(task, images, layout, seed, dtype=torch.float64), row.solver, row.warm, row.products
    )
    begin = objective.theta
    tape = objective.tape()
    objective.move(begin)
    trace = _Trace([begin], [0.0], [0.0], [0])
    ended = trace.follow(row.optimiser.steps(objective, begin), objective, row.steps)
    exact.restart()
    losses = [exact(theta) if bool(theta.isfinite().all()) else math.nan for theta in trace.thetas]
    return Learned(losses, trace.products, trace.seconds, trace.evaluations, tape, ended)


@dataclass(frozen=True, slots=True)
class _Trace:
    thetas: list[Tensor]
    products: list[float]
    seconds: list[float]
    evaluations: list[int]

    def follow(self, steps: Iterator[Tensor], objective: CountedObjective, most: int) -> str:
        """Take up to ``most`` steps. Returns why there is no further one."""
        while len(self.thetas) <= most:
            began = time.process_time()
            try:
                theta = next(steps)
            except StopIteration:
                return "no further step"
            except Exhausted as stopped:
                return str(stopped)
            self.seconds.append(self.seconds[-1] + time.process_time() - began)
            self.thetas.append(theta)
            self.products.append(objective.products)
            self.evaluations.append(objective.evaluations)
            if not bool(theta.isfinite().all()):
                return "not finite"
        return "steps"
