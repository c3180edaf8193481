"""Training of an operator through a solver: Adam, clipping, and checkpoints that a killed run goes on from."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from solvers import Solution, Solver

from .beyond import WILD
from .matrix import Cell, TrainingTable
from .records import write_atomically
from .tasks import Batch, Instance


class Stop(Exception):  # noqa: N818
    """A cell cannot go on; ``status`` is ``nan`` or ``diverged``."""

    def __init__(self, status: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status


def check(value: Tensor, x: Tensor) -> None:
    """Raise ``Stop`` where a loss or a state is not finite, or a state has left the range of images."""
    if not bool(value.isfinite().all()) or not bool(x.isfinite().all()):
        raise Stop("nan", "the iteration or its gradient is not finite")
    if float(x.detach().abs().max()) > WILD:
        raise Stop("diverged", f"a value exceeds {WILD:g} times the peak of the images")


def parameters(problem: Instance) -> list[nn.Parameter]:
    """The learnable tensors of the operator, in a fixed order."""
    return [p for p in problem.operator.parameters() if p.requires_grad]


def training_step(solver: Solver, problem: Instance, batch: Batch) -> tuple[Solution, Tensor]:
    """Forward and backward on a batch; gradients are left in the parameters. Returns the loss too."""
    problem.operator.zero_grad(set_to_none=True)
    solution = solver(problem.bind(batch), problem.start(batch))
    value = problem.loss(solution.x, batch)
    value.backward()
    return solution, value.detach()


def optimiser_for(problem: Instance, table: TrainingTable) -> torch.optim.Adam:
    """Adam, with a rate for the weights of networks and one for everything else."""
    networks = problem.operator.networks()
    ids = {id(p) for p in networks}
    rest = [p for p in parameters(problem) if id(p) not in ids]
    groups = [{"params": rest, "lr": table.rate}, {"params": networks, "lr": table.network_rate}]
    return torch.optim.Adam([group for group in groups if group["params"]])


def train(cell: Cell, problem: Instance, table: TrainingTable, checkpoint: Path | None) -> list[float]:
    """Train the operator of ``problem`` in place.

    With ``checkpoint``, the state is stored there every ``table.checkpoint`` steps, and a state found there is gone
    on from: the outcome is that of an uninterrupted run. The file is removed by whoever stores the outcome.

    Returns:
        The loss of each step.

    Raises:
        Stop: a value is not finite, or the iteration has diverged.
    """
    optimiser = optimiser_for(problem, table)
    learnable = parameters(problem)
    losses = _resume(problem, optimiser, checkpoint)
    order = itertools.islice(_batches(len(problem.train.y), table.batch, cell.seed), len(losses), table.steps)
    for index in order:
        solution, value = training_step(cell.solver, problem, problem.train.pick(index))
        check(value, solution.x)
        size = nn.utils.get_total_norm([p.grad for p in learnable if p.grad is not None])
        if not bool(size.isfinite()):
            raise Stop("nan", "the gradient of a training step is not finite")
        if table.clip is not None:
            nn.utils.clip_grads_with_norm_(learnable, table.clip, size)
        optimiser.step()
        losses.append(value.item())
        if checkpoint is not None and table.checkpoint and len(losses) % table.checkpoint == 0:
            state = {
                "operator": problem.operator.state_dict(),
                "optimiser": optimiser.state_dict(),
                "losses": losses,
            }
            buffer = io.BytesIO()
            torch.save(state, buffer)
            write_atomically(checkpoint, buffer.getvalue())
    return losses


def _resume(problem: Instance, optimiser: torch.optim.Optimizer, checkpoint: Path | None) -> list[float]:
    if checkpoint is None or not checkpoint.is_file():
        return []
    try:
        state = torch.load(
            checkpoint, map_location=next(problem.operator.parameters()).device, weights_only=True
        )
        problem.operator.load_state_dict(state["operator"])
        optimiser.load_state_dict(state["optimiser"])
        return list(state["losses"])
    except Exception as error:
        # Ours, written atomically, under a key that holds the digest of the code: this is a damaged disk.
        raise RuntimeError(
            f"the checkpoint {checkpoint.name} is damaged: remove it to train from the start"
        ) from error


def _batches(count: int, size: int, seed: int) -> Iterator[Tensor]:
    """Indices of batches, shuffled anew each epoch; every batch has ``size`` entries (or all there are)."""
    rng = torch.Generator().manual_seed(seed)
    while True:
        shuffled = torch.randperm(count, generator=rng)
        yield from (part for part in shuffled.split(size) if len(part) == min(size, count))
