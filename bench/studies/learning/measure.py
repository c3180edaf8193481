"""Measure one row on one task and seed: its steps, what they cost, and the exact loss at each."""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass, field, replace

import torch
from torch import Tensor

from solvers.optimisers import BilevelObjective

from ...tasks import Task, build_problem
from ...tasks.images import Images, Layout
from ...utils.random_streams import stream_seed
from ..objective import objective_of
from .exact import ExactLoss
from .row import Row
from .starts import started, tape_bytes


@dataclass(frozen=True, slots=True)
class Learned:
    """What a row did on a task with a seed; lists have an entry for the initial θ, and one for each step after it.

    Attributes:
        losses: exact training losses; nan from where θ is not finite.
        products: applications and vector–Jacobian products so far: of the evaluation at this θ, and of rejected trials.
        seconds: of the optimisation loop so far, of this process on one thread, without exact losses.
        evaluations: evaluations of loss and gradient so far, with rejected trials.
        tape: bytes that the first evaluation, from a cold start, keeps for its backward pass.
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
    problem = build_problem(replace(task, splitting=row.splitting), images, layout, seed, dtype=torch.float64)
    tape = tape_bytes(problem, row.solver)
    trace = _Trace()
    ended = trace.follow(row, objective_of(problem))
    exact.restart()
    losses = [exact(theta) if bool(theta.isfinite().all()) else math.nan for theta in trace.thetas]
    return Learned(losses, trace.products, trace.seconds, trace.evaluations, tape, ended)


@dataclass(frozen=True, slots=True)
class _Trace:
    thetas: list[Tensor] = field(default_factory=list[Tensor])
    products: list[float] = field(default_factory=list[float])
    seconds: list[float] = field(default_factory=list[float])
    evaluations: list[int] = field(default_factory=list[int])

    def follow(self, row: Row, objective: BilevelObjective) -> str:
        """Take the steps of a row. Returns why there is no further one."""
        steps = row.optimiser.minimise(objective, started(row.solver, objective, row.warm))
        spent = 0.0
        while True:
            began = time.process_time()
            step = next(steps)
            spent += time.process_time() - began
            self.thetas.append(step.evaluation.theta)
            self.products.append(step.work)
            self.seconds.append(spent)
            self.evaluations.append(step.trials)
            if not math.isfinite(step.evaluation.loss) or not bool(step.evaluation.gradient.isfinite().all()):
                return "not finite"
            if step.why or step.number == row.steps:
                return step.why or "steps"
            if step.work >= row.products:
                return "budget"
