"""Train an operator through a solver: Adam, clipping, and checkpoints from which a killed run resumes."""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from solvers import Solution, Solver, WarmStarts

from ..config.matrix import Cell
from ..config.profile_schema import TrainingTable
from ..external import ExternalSolver
from ..tasks import Batch, Problem
from ..utils.atomic_files import write_atomically
from ..utils.random_streams import stream
from .memory import TapeBytes
from .past_depth import DIVERGED


class TrainingStopped(Exception):  # noqa: N818
    """The iteration or its gradient failed; ``status`` is ``nan`` or ``diverged``."""

    def __init__(self, status: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status


def check_finite(value: Tensor, x: Tensor) -> None:
    """Raise ``TrainingStopped`` if a loss or state is not finite, or a state exceeds the range of images."""
    if not bool(value.isfinite().all()) or not bool(x.isfinite().all()):
        raise TrainingStopped("nan", "the iteration or its gradient is not finite")
    if float(x.detach().abs().max()) > DIVERGED:
        raise TrainingStopped("diverged", f"a value exceeds {DIVERGED:g} times the peak of the images")


def parameters(problem: Problem) -> list[nn.Parameter]:
    """The learnable tensors of the operator, in a fixed order."""
    return [p for p in problem.operator.parameters() if p.requires_grad]


def training_step(
    solver: Solver | ExternalSolver,
    problem: Problem,
    batch: Batch,
    start: Tensor | None = None,
    u0: Tensor | None = None,
    tape: TapeBytes | None = None,
) -> tuple[Solution, Tensor]:
    """Run the forward and the backward pass on a batch; return the solution and the loss.

    Gradients are left in the parameters. ``start`` is that of the task by default; ``u0`` starts the adjoint solve of a
    solver that has one, and other libraries' solvers have no place for it; ``tape`` counts the bytes kept between the
    passes.
    """
    problem.operator.zero_grad(set_to_none=True)
    start = problem.start(batch) if start is None else start
    criterion = problem.criterion(batch)
    T = problem.bind(batch)

    def solve() -> Solution:
        return (
            solver(T, start, criterion, u0=u0) if isinstance(solver, Solver) else solver(T, start, criterion)
        )

    solution = solve() if tape is None else tape.forward(solve, batch.y.device)
    value = criterion(solution.x)
    value.backward()
    return solution, value.detach()


def optimiser_for(problem: Problem, table: TrainingTable) -> torch.optim.Adam:
    """Adam, with one learning rate for the weights of networks and one for everything else."""
    networks = problem.operator.network_weights()
    network_ids = {id(p) for p in networks}
    rest = [p for p in parameters(problem) if id(p) not in network_ids]
    groups = [
        {"params": rest, "lr": table.learning_rate},
        {"params": networks, "lr": table.network_learning_rate},
    ]
    return torch.optim.Adam([group for group in groups if group["params"]])


@dataclass(slots=True)
class TrainingHistory:
    """Numbers of a training; lists have an entry a step unless said otherwise.

    Attributes:
        losses: training losses.
        work: applications and vector–Jacobian products of T so far, as ``Solution.work`` counts them.
        look_steps, look_work: steps, and ``work``, at each evaluation on the test images.
        look_psnr: PSNR of that evaluation, in dB.
        warm: last state and adjoint of each training crop, by its index; empty without ``warm_start``.
        sizes: norms of the gradients, before clipping.
        rtols: relative errors that a schedule asked for; only of solvers that certify.
        errors: certified relative errors of the gradients, infinite without a bound; only of solvers that certify.
    """

    losses: list[float] = field(default_factory=list[float])
    work: float = 0.0
    look_steps: list[int] = field(default_factory=list[int])
    look_work: list[float] = field(default_factory=list[float])
    look_psnr: list[float] = field(default_factory=list[float])
    warm: WarmStarts = field(default_factory=lambda: WarmStarts(None))
    sizes: list[float] = field(default_factory=list[float])
    rtols: list[float] = field(default_factory=list[float])
    errors: list[float] = field(default_factory=list[float])

    def values(self) -> dict[str, Any]:
        """The entries of a record: the losses, and evaluations and certified errors if there are any."""
        looks = ("look_steps", "look_work", "look_psnr") if self.look_steps else ()
        certified = ("sizes", *(("rtols",) if self.rtols else ()), "errors") if self.errors else ()
        return {name: getattr(self, name) for name in ("losses", *looks, *certified)}

    def state(self) -> dict[str, Any]:
        """What ``of_state`` needs; ``asdict`` would copy every tensor."""
        return {name: getattr(self, name) for name in self.__slots__} | {"warm": self.warm.state_dict()}

    @classmethod
    def of_state(cls, state: dict[str, Any]) -> TrainingHistory:
        """The history that ``state`` was taken of."""
        history = cls(**{name: value for name, value in state.items() if name != "warm"})
        history.warm.load_state_dict(state["warm"])
        return history


def train(
    cell: Cell,
    problem: Problem,
    table: TrainingTable,
    checkpoint: Path | None,
    look: Callable[[], float] | None = None,
) -> TrainingHistory:
    """Train the operator of ``problem`` in place.

    With ``checkpoint``, the state is stored every ``table.checkpoint`` steps, and training resumes from a stored state
    with the same result as without an interruption. The caller removes the file.

    With ``table.schedule``, a solver ``certified(…)`` takes each step with a tolerance that follows from the gradients
    of the steps before; its theory is that of gradient descent on one batch (``solvers.Schedule``).

    ``look`` scores the operator in its present state: every ``table.eval_every`` steps, and at the end.

    Raises:
        TrainingStopped: a value is not finite, or the iteration has diverged.
    """
    optimiser = optimiser_for(problem, table)
    learnable = parameters(problem)
    history = _resume(problem, optimiser, checkpoint)
    order = _batches(len(problem.train.y), table.batch, cell.seed)
    schedule = table.schedule.schedule() if table.schedule is not None else None
    for index in itertools.islice(order, len(history.losses), table.steps):
        batch = problem.train.select(index)
        crops: list[int] = index.tolist()
        start, u0 = history.warm.starts(crops, problem.start(batch)) if table.warm_start else (None, None)
        solver = cell.solver
        if schedule is not None and isinstance(solver, Solver):
            solver = schedule.tighten(solver, history.sizes)
        solution, value = training_step(solver, problem, batch, start, u0)
        check_finite(value, solution.x)
        if table.warm_start:
            history.warm.keep(crops, solution.x, solution.adjoints)
        size = nn.utils.get_total_norm([p.grad for p in learnable if p.grad is not None])
        if not bool(size.isfinite()):
            raise TrainingStopped("nan", "the gradient of a training step is not finite")
        if table.clip is not None:
            nn.utils.clip_grads_with_norm_(learnable, table.clip, size)
        optimiser.step()
        history.losses.append(value.item())
        if solution.certificates:
            history.errors.append(solution.certificates[0].relative)
            if schedule is not None:
                history.rtols.append(schedule.rtol(history.sizes))
        history.sizes.append(size.item())
        history.work += solution.work
        done = len(history.losses)
        if look is not None and table.eval_every and (done % table.eval_every == 0 or done == table.steps):
            history.look_steps.append(done)
            history.look_work.append(history.work)
            history.look_psnr.append(look())
        if checkpoint is not None and table.checkpoint and done % table.checkpoint == 0:
            _store(problem, optimiser, history, checkpoint)
    return history


def _store(
    problem: Problem, optimiser: torch.optim.Optimizer, history: TrainingHistory, checkpoint: Path
) -> None:
    state = {
        "operator": problem.operator.state_dict(),
        "optimiser": optimiser.state_dict(),
        "history": history.state(),
    }
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_atomically(checkpoint, buffer.getvalue())


def _resume(problem: Problem, optimiser: torch.optim.Optimizer, checkpoint: Path | None) -> TrainingHistory:
    if checkpoint is None or not checkpoint.is_file():
        return TrainingHistory()
    try:
        state = torch.load(
            checkpoint, map_location=next(problem.operator.parameters()).device, weights_only=True
        )
        problem.operator.load_state_dict(state["operator"])
        optimiser.load_state_dict(state["optimiser"])
        return TrainingHistory.of_state(state["history"])
    except Exception as error:
        # The file was written atomically, and its name holds the digest of the code: only the disk can be at fault.
        raise RuntimeError(
            f"the checkpoint {checkpoint.name} is damaged: remove it to train from the start"
        ) from error


def _batches(count: int, size: int, seed: int) -> Iterator[Tensor]:
    """Indices of batches, shuffled anew each epoch; each batch has ``size`` entries, or all ``count`` if fewer."""
    rng = stream(seed, "order of batches")
    while True:
        shuffled = torch.randperm(count, generator=rng)
        yield from (part for part in shuffled.split(size) if len(part) == min(size, count))
