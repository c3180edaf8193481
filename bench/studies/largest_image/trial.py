"""One training step on one synthetic image or volume, within a limit of memory."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import torch
from deepinv.physics import MRI, DecomposablePhysics, Inpainting
from torch import Tensor, nn

from solvers import Solver

from ...external import ExternalSolver
from ...measurement.memory import free_memory, out_of_memory, peak_bytes
from ...measurement.training import training_step
from ...operators.compiled import channels_last
from ...spectra import Basis, Spectrum, spectrum_of
from ...tasks import Batch, Problem, Task
from ...tasks.base import PEAK, first_step
from ...utils.arguments import quantity
from ...utils.errors import UserError
from ...utils.random_streams import stream, stream_seed

UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


def bytes_of(text: str) -> int:
    """``256MiB`` or ``78GiB`` in bytes. Raises ``UserError`` for any other text, and for 0."""
    size = round(quantity(text, UNITS))
    if not size > 0:
        raise UserError(f"--limit {text!r} is no size: give 256MiB or 78GiB")
    return size


def limit_on(device: torch.device, text: str | None) -> int:
    """The bytes that a step may take: ``text``, or the free memory of a GPU.

    On a GPU the allocator refuses more from now on, so that libraries choose algorithms that fit.

    Raises:
        UserError: ``text`` is no size, or more than is free; or it is missing on a CPU, whose memory is shared.
    """
    limit = None if text is None else bytes_of(text)
    if device.type != "cuda":
        if limit is None:
            raise UserError("on a CPU the memory is shared: give --limit 256MiB, or another size")
        return limit
    free, total = torch.cuda.mem_get_info(device)
    if limit is not None and limit > free:
        raise UserError(f"--limit {text}: {free / UNITS['GiB']:.1f}GiB are free on {device}; give less")
    limit = limit or free
    torch.cuda.set_per_process_memory_fraction(min(1.0, limit / total), device)
    return limit


@dataclass(frozen=True, slots=True)
class Trial:
    """One training step on one image.

    Attributes:
        crop: side of the image in pixels, or of the cube in voxels.
        fits: whether the step stayed within the limit.
        peak: most bytes alive at once, with those of the problem; ``None`` if memory ran out.
        seconds: duration of a second step, without set-up; ``None`` if the step does not fit.
    """

    crop: int
    fits: bool
    peak: int | None = None
    seconds: float | None = None


def synthetic_problem(task: Task, sides: tuple[int, ...], device: torch.device) -> Problem:
    """The task on one synthetic image or volume of ``sides``, float32, made and measured on ``device``.

    The memory of a step does not depend on the contents of an image, and photographs of 16,384² are rare. Blocks of
    random colours give edges.
    """
    coarse = torch.rand(1, task.channels, *(8,) * len(sides), generator=stream(0, "training crops"))
    return problem_on(task, nn.functional.interpolate(coarse.to(device), size=sides, mode="nearest"))


def problem_on(task: Task, truth: Tensor) -> Problem:
    """The task on images or volumes ``(B, C, …)``, measured on their device and in their dtype.

    Only a spectrum that the physics states is computed; others are nan, which forward–backward steps do not use. The
    noise is that of seed 0, in float32.
    """
    shape, dtype, device = tuple(truth.shape[1:]), truth.dtype, truth.device
    torch.manual_seed(stream_seed(0, "everything else"))
    physics = task.physics(shape, stream(0, "masks"), dtype, device)
    made = task.splitting.operator(
        task.prior, physics, shape, first_step(task, physics, shape), dtype, device
    )
    operator = channels_last(made)
    with torch.no_grad():
        noise = torch.tensor(task.noise, dtype=dtype, device=device)
        y = physics.A(truth)
        y = y + noise.view(-1, *[1] * (y.ndim - 2)) * torch.randn(y.shape, device=device).to(dtype)
        if isinstance(physics, Inpainting | MRI):
            y = physics.A(y) if isinstance(physics, Inpainting) else y * physics.mask
        grey = torch.full_like(truth, 0.5 * PEAK)
        start = grey + physics.A_adjoint(y - physics.A(grey))
    batch, spectrum = Batch(truth, y, start), Spectrum(math.nan, math.nan, Basis.ESTIMATE)
    if isinstance(physics, DecomposablePhysics):
        spectrum = spectrum_of(physics, shape)
    return Problem(operator, physics, batch, batch, spectrum)


def attempt(
    task: Task, solver: Solver | ExternalSolver, crop: int, device: torch.device, limit: int
) -> Trial:
    """One training step on one image of ``crop``², or one volume of ``crop``³, within ``limit`` bytes.

    On a GPU the allocator enforces the limit. On a CPU the bytes alive at once are compared with it, and a step that
    runs out of memory does not fit either. Other exceptions are raised. Nothing stays allocated.
    """
    try:
        problem = synthetic_problem(task, (crop,) * task.axes, device)
        before = _allocated(problem, device)
        with peak_bytes(device) as peak_of_step:
            training_step(solver, problem, problem.train)
        peak = before + peak_of_step.count
        seconds = _seconds(solver, problem, device) if peak <= limit else None
        return Trial(crop, peak <= limit, peak, seconds)
    except Exception as error:
        # Its traceback would keep everything alive that the attempt had allocated.
        error.__traceback__ = None
        if not out_of_memory(error):
            raise
        return Trial(crop, False)
    finally:
        problem = None
        free_memory(device)


def _allocated(problem: Problem, device: torch.device) -> int:
    """Bytes of the problem before a step: measurements, spectra, weights."""
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device)
    batch = problem.train
    tensors = [*problem.operator.parameters(), *problem.operator.buffers(), *problem.physics.buffers()]
    storages = [t.untyped_storage() for t in (*tensors, batch.truth, batch.y, batch.x0)]
    return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())


def _seconds(solver: Solver | ExternalSolver, problem: Problem, device: torch.device) -> float:
    begin = time.perf_counter()
    training_step(solver, problem, problem.train)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - begin
