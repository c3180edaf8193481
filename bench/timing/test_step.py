"""Seconds of a training step of each solver, every round between two rounds of its own floor.

``pytest bench/timing`` times restarted JFB at 256×256 and prints its ratio to the floor; ``python -m bench
run`` times the cells of a profile with the same code.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch

from ..measurement.memory import out_of_memory
from ..measurement.training import optimiser_for, training_step
from ..tasks import build_problem
from ..utils.errors import in_a_line
from ..utils.precision import disable_tf32
from ..utils.provenance import gpu_state
from .bare_loop import StepCounts, bare_step
from .protocol import WARM_UP, control_count, round_count

SPIN = 0.5
"""Seconds that a GPU works before a timing."""


class Clock:
    """Times a synchronised call: device events on CUDA, the performance counter elsewhere."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def __call__(self, call: Callable[[], None]) -> float:
        """Seconds of ``call()``, which has ended when this returns."""
        if self._device.type != "cuda":
            begin = time.perf_counter()
            call()
            return time.perf_counter() - begin
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize(self._device)
        begin.record()
        call()
        end.record()
        torch.cuda.synchronize(self._device)
        return begin.elapsed_time(end) / 1e3


def paired_ratios(seconds: list[float], floor: list[float]) -> list[float]:
    """Each round over the mean of the floor's rounds before and after it, so that a drift cancels."""
    return [s / ((before + after) / 2) for s, before, after in zip(seconds, floor, floor[1:], strict=False)]


def test_step(benchmark, job, request):
    """One training step: forward, backward and Adam's update."""
    report = request.config.getoption("--cost-report")
    try:
        found = timed(benchmark, job)
    except Exception as error:
        if not report or not out_of_memory(error):
            raise
        found = {"gpu": None, "status": "oom", "reason": in_a_line(error, 300)}
    if report:
        with Path(report).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({"key": job.key, **found}) + "\n")
    else:
        name = f"{job.cell.task.label} · {job.cell.solver.label}"
        ratio, same = median(found["ratios"]), median(found["ratios_of_floor"])
        with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
            print(f"\n{name}: {ratio:.3f} × floor (floor × itself: {same:.3f})")  # noqa: T201


def spin(device: torch.device, seconds: float) -> None:
    """Keep a device busy: an idle GPU stands at a fraction of its clock, and two steps of 20 ms do not raise it."""
    factor = torch.eye(1024, device=device)
    product, end = factor, time.perf_counter() + seconds
    while time.perf_counter() < end:
        product = product @ factor
        if device.type == "cuda":
            torch.cuda.synchronize(device)


@disable_tf32()
def timed(benchmark, job):
    """Seconds of a step and of its floor, what both are made of, and the state of the GPU right after."""
    profile, device = job.profile, torch.device(job.device)
    torch.set_num_threads(profile.threads)
    problem = build_problem(
        job.cell.task,
        job.images,
        profile.images.layout(),
        job.cell.seed,
        dtype=getattr(torch, profile.dtype),
        device=device,
        execution=profile.execution,
    )
    batch = problem.train.select(torch.arange(profile.batch_size))
    start = problem.start(batch)
    # A learning rate of zero: every round does the same work, the update included.
    optimiser = optimiser_for(problem, profile.training)
    for group in optimiser.param_groups:
        group["lr"] = 0.0
    made = problem.prepared(batch)  # compiled or captured here, so that no step is
    work = StepCounts.of(training_step(job.cell.solver, problem, batch)[0])

    def step() -> None:
        training_step(job.cell.solver, problem, batch)
        optimiser.step()

    def floor() -> None:
        problem.operator.zero_grad(set_to_none=True)
        bare_step(problem.bind(batch), start, lambda x: problem.loss(x, batch), work)
        optimiser.step()

    clock = Clock(device)
    if device.type == "cuda":
        spin(device, SPIN)
    once = max(clock(step) + clock(floor) for _ in range(WARM_UP))
    rounds = round_count(profile.timing.rounds, profile.timing.seconds, once)
    seconds: list[float] = []
    floors: list[float] = []
    benchmark.pedantic(
        lambda: seconds.append(clock(step)),
        setup=lambda: floors.append(clock(floor)),
        rounds=rounds,
        iterations=1,
    )
    floors.append(clock(floor))
    # Now, while it is still as warm as it was for the rounds.
    gpu = gpu_state(device)
    # The floor against itself, in the same minute: a ratio within this spread of 1 says nothing.
    again = [clock(floor) for _ in range(control_count(rounds))]
    ratios = paired_ratios(seconds, floors)
    same = paired_ratios(again[1::2], again[0::2])
    benchmark.extra_info.update(ratio=median(ratios), ratio_of_floor_to_itself=median(same))
    return {
        "gpu": gpu,
        "seconds": seconds,
        "floor_seconds": floors,
        "ratios": ratios,
        "ratios_of_floor": same,
        "untaped": work.untaped,
        "recorded": work.taped_applications,
        "adjoint": work.adjoint,
        "again": work.recomputed,
        "step": made.mode,
        "step_why": made.reason,
        "step_seconds": made.seconds,
    }
