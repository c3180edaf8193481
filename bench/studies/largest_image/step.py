"""One training step with its memory, for a process of its own."""

from __future__ import annotations

import resource
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from ...config.lookup import parse_operator, parse_solver, parse_task
from ...measurement.training import parameters, training_step
from ...tasks.complex_images import COMPLEX, with_phase
from ...tasks.volume_files import mirrored, read_volume
from ...utils.errors import UserError
from .trial import problem_on, synthetic_problem

MULTIPLE = 8
"""Sides are extended to multiples of it: three levels of wavelets halve them three times."""
CLEAR = Path("/proc/self/clear_refs")


@dataclass(frozen=True, slots=True)
class Step:
    """What a step took, and its gradient.

    Attributes:
        sides: of the image or volume in pixels or voxels.
        seconds, cpu_seconds: of the step, by the clock and by the processor; without set-up.
        peak: most bytes resident at once in the whole process, with Python and its libraries.
        step_peak: the same during the step alone; 0 where the system cannot tell (other than Linux).
        applications, products: evaluations of T, and vector–Jacobian products.
        converged: whether all solves with a tolerance met it.
        loss: at the solution.
        gradient: of the loss by the learnable parameters, one after another.
    """

    sides: tuple[int, ...]
    seconds: float
    cpu_seconds: float
    peak: int
    step_peak: int
    applications: float
    products: float
    converged: bool
    loss: float
    gradient: tuple[float, ...]


def volume_of(file: Path, multiple: int = MULTIPLE) -> torch.Tensor:
    """A volume ``(1, 1, D, H, W)`` float32 in [0, 1], its sides extended to multiples by its mirror image."""
    volume = read_volume(file)
    return mirrored(volume, [-(-side // multiple) * multiple for side in volume.shape])[None, None]


def take(
    task: str,
    operator: str,
    solver: str,
    sides: tuple[int, ...],
    file: Path | None,
    double: bool,
    threads: int,
) -> Step:
    """Build a task on a file's volume, or on a synthetic image or volume of ``sides``, and take one step.

    Args:
        task, operator, solver: calls.
        sides: of a synthetic image; unused with a file.
        file: of a volume, or ``None``.
        double: whether to compute in float64, with a file alone.
        threads: of torch.

    Raises:
        UserError: the task takes no images of as many axes; and see ``read_volume``.
    """
    torch.set_num_threads(threads)
    made = replace(parse_task(task), splitting=parse_operator(operator))
    chosen = parse_solver(solver)
    axes = 3 if file is not None else len(sides)
    if axes != made.axes:
        raise UserError(f"{task} takes {made.axes} axes, not {axes}")
    if file is None:
        problem = synthetic_problem(made, sides, torch.device("cpu"))
    else:
        truth = volume_of(file)
        truth = with_phase(truth) if made.channels == COMPLEX else truth
        problem = problem_on(made, truth.double() if double else truth)
    set_up = _resident_peak()
    forgotten = _forget_peak()
    begin, cpu = time.perf_counter(), time.process_time()
    solution, loss = training_step(chosen, problem, problem.train)
    seconds, cpu_seconds = time.perf_counter() - begin, time.process_time() - cpu
    peak = _resident_peak()
    gradient = torch.cat([p.grad.flatten() for p in parameters(problem) if p.grad is not None])
    return Step(
        tuple(problem.train.truth.shape[2:]),
        seconds,
        cpu_seconds,
        max(set_up, peak),
        peak if forgotten else 0,
        solution.evaluations,
        solution.products,
        solution.converged,
        float(loss),
        tuple(gradient.double().tolist()),
    )


def step_of(fields: dict[str, Any]) -> Step:
    """A step of the fields that a record has."""
    given: dict[str, Any] = fields | {name: tuple(fields[name]) for name in ("sides", "gradient")}
    return Step(**given)


def _resident_peak() -> int:
    """The largest resident set of this process so far, or since ``_forget_peak``, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _forget_peak() -> bool:
    """Let Linux count the largest resident set anew; false on other systems."""
    try:
        CLEAR.write_text("5")
    except OSError:
        return False
    return True
