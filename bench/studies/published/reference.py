"""The reference gradient of a problem, with its distance to a looser one; kept in a file."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from solvers import CG, QuasiNewton, implicit

from ...measurement.training import training_step
from ...operators import GradientStep
from ...tasks import Problem
from ...utils.atomic_files import write_atomically
from ...utils.errors import UserError
from ..gradients import parameter_gradient

LOOSE = implicit(QuasiNewton(1e-12, 5000), CG(1e-10, 3000))
TIGHT = implicit(QuasiNewton(1e-13, 5000), CG(1e-11, 3000))
"""The reference is the second, which goes on where the first ended."""
TIMES = 9
"""Timings of an energy and of a gradient, of which the median counts."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A gradient that others are compared with.

    Attributes:
        gradient: in all parameters, flattened, float64.
        error: its relative distance to the gradient at ten times the tolerances, an estimate of its error from above.
        energy_share: seconds of an energy, as a share of those of a gradient of it.
    """

    gradient: Tensor
    error: float
    energy_share: float


def reference_of(problem: Problem, file: Path) -> Reference:
    """The reference gradient of the training loss, from ``file`` if it is there; otherwise it is computed and stored.

    Raises:
        UserError: a solve does not reach its tolerance.
        Unwritable: the disk is full, or may only be read.
    """
    stored = _read(file)
    if stored is not None:
        return stored
    batch = problem.train
    loose, _ = training_step(LOOSE, problem, batch)
    first = parameter_gradient(problem)
    tight, _ = training_step(TIGHT, problem, batch, loose.x.detach(), loose.adjoints[-1])
    gradient = parameter_gradient(problem)
    if not tight.converged:
        raise UserError(
            f"no reference gradient: the equilibrium has a residual of {tight.forward.residual:.1e}, its adjoint "
            f"{tight.adjoint[-1].residual:.1e}"
        )
    error = float((first - gradient).norm() / gradient.norm())
    found = Reference(gradient, error, _energy_share(problem))
    numbers = {"error": repr(found.error), "energy_share": repr(found.energy_share)}
    write_atomically(file, save({"gradient": gradient}, numbers))
    return found


def _energy_share(problem: Problem) -> float:
    operator, x = problem.operator, problem.train.y
    assert isinstance(operator, GradientStep)

    def seconds(call: Callable[[Tensor], Tensor]) -> float:
        spent: list[float] = []
        for _ in range(TIMES):
            began = time.process_time()
            call(x)
            spent.append(time.process_time() - began)
        return median(spent)

    with torch.no_grad():
        return seconds(operator.regulariser.energy) / seconds(operator.regulariser.gradient)


def _read(file: Path) -> Reference | None:
    try:
        with safe_open(file, "pt") as stored:
            numbers = stored.metadata() or {}
            return Reference(
                stored.get_tensor("gradient"), float(numbers["error"]), float(numbers["energy_share"])
            )
    except (OSError, SafetensorError, KeyError, ValueError):
        return None
