"""Where a ``Reconstructor`` can log its solves: TensorBoard, MLflow, Weights & Biases. None of them is imported."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

SolveLog = Callable[[int, Mapping[str, float]], object]
"""Called with the number of a backward pass, from 0, and values by name; what was not measured is left out."""


class TensorBoardWriter(Protocol):
    """``torch.utils.tensorboard.SummaryWriter``."""

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> object:
        """Write a value."""
        ...


class MLflowRun(Protocol):
    """The module ``mlflow``, or an ``MlflowClient`` bound to a run."""

    def log_metrics(self, metrics: dict[str, float], step: int) -> object:
        """Write values."""
        ...


class WandbRun(Protocol):
    """What ``wandb.init()`` returns."""

    def log(self, data: dict[str, float], commit: bool) -> object:
        """Write values."""
        ...


def log_to_tensorboard(writer: TensorBoardWriter) -> SolveLog:
    """Return a log that writes scalars ``eqgrad/NAME`` by the number of the backward pass."""

    def log(step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            writer.add_scalar(f"eqgrad/{name}", value, step)

    return log


def log_to_mlflow(run: MLflowRun) -> SolveLog:
    """Return a log that writes metrics ``eqgrad/NAME`` into the active run, by the number of the backward pass."""

    def log(step: int, values: Mapping[str, float]) -> None:
        run.log_metrics({f"eqgrad/{name}": value for name, value in values.items()}, step=step)

    return log


def log_to_wandb(run: WandbRun) -> SolveLog:
    """Return a log that adds ``eqgrad/NAME`` to the row that the training writes next.

    The steps of a run may only grow, and deepinv's trainer numbers them itself, so no step is given here. Where nothing
    else writes rows, call ``run.log({})`` after each step.
    """

    def log(step: int, values: Mapping[str, float]) -> None:
        run.log({f"eqgrad/{name}": value for name, value in {"step": step, **values}.items()}, commit=False)

    return log
