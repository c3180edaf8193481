"""The state of a training of a regulariser, and its steps."""

from __future__ import annotations

import copy
import io
import math
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from solvers import Solver

from ...config.lookup import parse_solver
from ...external import ExternalSolver
from ...measurement.memory import saved_bytes
from ...measurement.training import training_step
from ...operators.gradient_step import GradientStep
from ...regularisers import REGULARISERS, LearnedPrior, RidgeRegulariser
from ...spectra import Basis, Spectrum
from ...tasks import Batch, Problem, Task
from ...tasks.base import first_step
from ...utils.atomic_files import write_atomically
from ...utils.errors import UserError, in_a_line
from ...utils.json_values import finite
from ...utils.random_streams import stream
from ..denoiser_training.crops import Photographs, sample
from .recipe import Recipe, averaged
from .validation import Validation


@dataclass(frozen=True, slots=True)
class Budget:
    """When a training ends: after the step that reaches the first of these.

    The learning rate falls with the share that is spent. With ``seconds``, which no two runs share, a
    training ends in other weights each time.

    Attributes:
        steps: optimiser steps.
        products: applications and vector–Jacobian products of whole batches.
        seconds: of this process, in steps alone.
    """

    steps: float = math.inf
    products: float = math.inf
    seconds: float = math.inf

    def spent(self, history: History) -> float:
        """The share of the budget that is spent; 1 or more at the end."""
        return max(
            len(history.losses) / self.steps,
            history.products[-1] / self.products if history.products else 0.0,
            history.seconds[-1] / self.seconds if history.seconds else 0.0,
        )


@dataclass(slots=True)
class History:
    """Numbers of a training.

    Attributes:
        losses: training loss of each step, half the mean squared error.
        products, seconds: applications and products, and seconds of this process in steps, up to each step.
        look_steps, look_psnr: steps done at each look at the validation crops, and their mean PSNR in dB.
    """

    losses: list[float] = field(default_factory=list[float])
    products: list[float] = field(default_factory=list[float])
    seconds: list[float] = field(default_factory=list[float])
    look_steps: list[int] = field(default_factory=list[int])
    look_psnr: list[float] = field(default_factory=list[float])


class Training:
    """A regulariser that is trained: its parameters, their running average, the optimiser, and what was done.

    Args:
        task: a denoising task; its prior is a learned one.
        recipe, budget, seed: the seed is of crops and noise.
    """

    def __init__(self, task: Task, recipe: Recipe, budget: Budget, seed: int) -> None:
        prior = task.prior
        if not isinstance(prior, LearnedPrior):
            raise UserError(
                f"{task.label} has no learned regulariser: choose one of {', '.join(REGULARISERS)}"
            )
        self.recipe, self.budget, self.seed = recipe, budget, seed
        self.identity: dict[str, Any] = finite(
            {
                "prior": prior.label,
                "family": repr(prior.family),
                "noise": task.noise[0],
                "seed": seed,
                **asdict(recipe),
                "budget": asdict(budget),
            }
        )
        self.solver: Solver | ExternalSolver = parse_solver(recipe.solver)
        shape = (1, recipe.crop, recipe.crop)
        self.physics = task.physics(shape, stream(seed, "masks"), torch.float32, torch.device("cpu"))
        self.noise = task.noise[0]
        # Not by the prior, which loads trained weights.
        self.operator = GradientStep(prior.family.build().float(), first_step(task, self.physics, shape))
        if recipe.steepness is not None and isinstance(self.operator.regulariser, RidgeRegulariser):
            nn.init.constant_(self.operator.regulariser.steepness, recipe.steepness)
        self.average: GradientStep = copy.deepcopy(self.operator)
        self.optimiser = recipe.optimise(self.operator.regulariser)
        self.history = History()

    @property
    def done(self) -> int:
        """Steps done."""
        return len(self.history.losses)

    @property
    def spent(self) -> float:
        """The share of the budget that is spent."""
        return self.budget.spent(self.history)

    @property
    def ended(self) -> bool:
        """Whether the budget is spent."""
        return self.spent >= 1

    def batch(self, photographs: Photographs) -> Batch:
        """The crops and the noise of the next step."""
        draw, recipe = self.done, self.recipe
        truth = sample(photographs, recipe.crop, recipe.batch, stream(self.seed, "training crops", draw))
        noise = torch.randn(truth.shape, generator=stream(self.seed, "training noise", draw))
        y = truth + self.noise * noise
        return Batch(truth, y, y)

    def advance(self, photographs: Photographs) -> float:
        """Take one step. Returns its loss. Raises ``UserError`` if the loss or a parameter is not finite."""
        batch = self.batch(photographs)
        began = time.process_time()
        rate = self.recipe.rate_at(min(1.0, self.spent))
        for group in self.optimiser.param_groups:
            group["lr"] = rate * group["share"]
        problem = Problem(self.operator, self.physics, batch, batch, Spectrum(1.0, 1.0, Basis.EXACT))
        solution, loss = training_step(self.solver, problem, batch)
        gradients = [p.grad for p in self.operator.parameters() if p.grad is not None]
        if not bool(loss.isfinite()) or not all(bool(g.isfinite().all()) for g in gradients):
            raise UserError(f"step {self.done + 1} is not finite: choose a smaller --rate, or another solver")
        self.optimiser.step()
        averaged(self.average, self.operator, min(self.recipe.average, (1 + self.done) / (10 + self.done)))
        seconds = time.process_time() - began
        history = self.history
        history.products.append((history.products or [0.0])[-1] + solution.work)
        history.seconds.append((history.seconds or [0.0])[-1] + seconds)
        history.losses.append(loss.item())
        return history.losses[-1]

    def look(self, validation: Validation) -> float:
        """Mean PSNR on the validation crops in dB, with the average of the weights; it is kept in the history."""
        self.history.look_steps.append(self.done)
        self.history.look_psnr.append(validation.psnr(self.average.regulariser))
        return self.history.look_psnr[-1]

    def write(self, checkpoint: Path) -> None:
        """Write a checkpoint for ``resume``, atomically."""
        content = io.BytesIO()
        state = {
            "operator": self.operator.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "history": asdict(self.history),
            "identity": self.identity,
        }
        torch.save(state, content)
        write_atomically(checkpoint, content.getvalue())

    def resume(self, checkpoint: Path) -> None:
        """Continue from a checkpoint. Raises ``UserError`` if it is damaged or of another training."""
        try:
            state = torch.load(checkpoint, weights_only=True)
            identity, history = state["identity"], History(**state["history"])
        except Exception as error:  # the parsers of torch raise a dozen types
            raise UserError(f"the checkpoint {checkpoint} is damaged: remove it to start over") from error
        if identity != self.identity:
            raise UserError(
                f"the checkpoint {checkpoint} is of another training: remove it, or give another --out"
            )
        self.operator.load_state_dict(state["operator"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.history = history


def tape_bytes(training: Training, batch: Batch) -> int:
    """Bytes that a step on ``batch`` keeps for its backward pass, at the present parameters.

    Raises ``UserError`` if the solver refuses the operator.
    """
    problem = Problem(training.operator, training.physics, batch, batch, Spectrum(1.0, 1.0, Basis.EXACT))
    known: list[Tensor] = [*training.operator.parameters(), batch.truth, batch.y]
    try:
        with saved_bytes(known) as saved:
            training_step(training.solver, problem, batch, tape=saved)
    except ValueError as error:
        raise UserError(f"{training.recipe.solver}: {in_a_line(error)}") from error
    training.operator.zero_grad(set_to_none=True)
    return saved.count
