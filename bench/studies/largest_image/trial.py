"""One training step on one made-up image, within so many bytes."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from solvers import Solver

from ...external import ExternalSolver
from ...measurement.memory import free_memory, out_of_memory, peak_bytes
from ...measurement.training import training_step
from ...operators.compiled import channels_last
from ...tasks import Batch, Problem, Task
from ...tasks.base import PEAK, is_mask
from ...utils.arguments import quantity
from ...utils.errors import UserError
from ...utils.random_streams import stream, stream_seed

UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


def bytes_of(text: str) -> int:
    """``256MiB`` or ``78GiB`` in bytes. Raises ``UserError`` for anything else, and for no bytes at all."""
    size = round(quantity(text, UNITS))
    if not size > 0:
        raise UserError(f"--limit {text!r} is no size: give 256MiB or 78GiB")
    return size


def limit_on(device: torch.device, text: str | None) -> int:
    """Bytes that a step may take: those of ``text``, or what is free on a GPU.

    On a GPU the allocator refuses more from now on, so that libraries choose what fits.

    Raises:
        UserError: no size, more than is free, or none on a CPU, whose memory others share.
    """
    given = None if text is None else bytes_of(text)
    if device.type != "cuda":
        if given is None:
            raise UserError("on a CPU the memory is shared: give --limit 256MiB, or another size")
        return given
    free, total = torch.cuda.mem_get_info(device)
    if given is not None and given > free:
        raise UserError(f"--limit {text}: {free / UNITS['GiB']:.1f}GiB are free on {device}; give less")
    limit = given or free
    torch.cuda.set_per_process_memory_fraction(min(1.0, limit / total), device)
    return limit


@dataclass(frozen=True, slots=True)
class Trial:
    """One training step on one image.

    Attributes:
        crop: side of the image in pixels.
        fits: whether it stayed within the limit.
        peak: bytes alive at once, those of the problem among them; ``None`` where memory ran out.
        seconds: of a second step, in which nothing is set up any more; ``None`` where it does not fit.
    """

    crop: int
    fits: bool
    peak: int | None = None
    seconds: float | None = None


def made_up(task: Task, crop: int, device: torch.device) -> Problem:
    """The task on one made-up image of ``crop``², float32, made and measured on ``device``.

    What a step takes does not depend on what an image shows, and photographs of 16,384² are rare. Blocks of random
    colours stand in for edges. Its spectrum is not computed: a step does not ask for it.
    """
    shape = (task.channels, crop, crop)
    torch.manual_seed(stream_seed(0, "everything else"))
    operator = channels_last(task.prior.operator(shape, task.step, torch.float32, device))
    physics = task.physics(shape, stream(0, "masks"), torch.float32, device)
    with torch.no_grad():
        coarse = torch.rand(1, task.channels, 8, 8, generator=stream(0, "training crops")).to(device)
        truth = nn.functional.interpolate(coarse, size=(crop, crop), mode="nearest")
        noise = torch.tensor(task.noise, device=device).view(-1, 1, 1)
        y = physics.A(truth)
        y = y + noise * torch.randn(y.shape, device=device)
        if is_mask(physics):
            y = physics.A(y)
        grey = torch.full_like(truth, 0.5 * PEAK)
        start = grey + physics.A_adjoint(y - physics.A(grey))
    batch = Batch(truth, y, start)
    return Problem(operator, physics, batch, batch, (math.nan, math.nan))


def attempt(
    task: Task, solver: Solver | ExternalSolver, crop: int, device: torch.device, limit: int
) -> Trial:
    """One training step on one image of ``crop``², within ``limit`` bytes.

    On a GPU the allocator holds to the limit. On a CPU the storages alive at once are held against it, and what torch
    refuses for want of memory does not fit either. Exceptions of other kinds pass. Nothing stays allocated.
    """
    try:
        problem = made_up(task, crop, device)
        held = _held(problem, device)
        with peak_bytes(device) as found:
            training_step(solver, problem, problem.train)
        peak = held + found.count
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


def _held(problem: Problem, device: torch.device) -> int:
    """Bytes that are there before a step: measurements, spectra, weights."""
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device)
    batch = problem.train
    tensors = [*problem.operator.parameters(), *problem.operator.buffers(), *problem.physics.buffers()]
    return _bytes([*tensors, batch.truth, batch.y, batch.x0])


def _bytes(tensors: list[Tensor]) -> int:
    storages = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}
    return sum(storages.values())


def _seconds(solver: Solver | ExternalSolver, problem: Problem, device: torch.device) -> float:
    begin = time.perf_counter()
    training_step(solver, problem, problem.train)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - begin
