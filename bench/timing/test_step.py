"""Seconds of a training step of each solver, each round between two rounds of its bare loop.

``pytest bench/timing`` times an estimator of each kind at 256×256 and prints its ratio to the bare loop;
``python -m bench run`` times the cells of a profile with the same code.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch

from ..measurement.gradient_draws import first_batch
from ..measurement.memory import out_of_memory
from ..measurement.training import optimiser_for, training_step
from ..tasks import build_problem
from ..utils.errors import in_a_line
from ..utils.precision import disable_tf32
from ..utils.provenance import gpu_state
from .bare_loop import StepCounts, bare_step
from .protocol import WARM_UP, control_count, round_count

SPIN = 0.5
"""Seconds of work on a GPU before a timing."""


def timed_call(call: Callable[[], None], device: torch.device) -> float:
    """Seconds of ``call()`` until its work has ended: by events on CUDA, by the performance counter elsewhere."""
    if device.type != "cuda":
        begin = time.perf_counter()
        call()
        return time.perf_counter() - begin
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize(device)
    begin.record()
    call()
    end.record()
    torch.cuda.synchronize(device)
    return begin.elapsed_time(end) / 1e3


def paired_ratios(seconds: list[float], bare: list[float]) -> list[float]:
    """Each round over the mean of the bare loops before and after it, which cancels a linear drift of the machine."""
    return [s / ((before + after) / 2) for s, before, after in zip(seconds, bare, bare[1:], strict=False)]


def test_step(benchmark, job, request):
    """One training step: forward pass, backward pass and Adam's update."""
    report = request.config.getoption("--cost-report")
    try:
        values = timed(benchmark, job)
    except Exception as error:
        if not report or not out_of_memory(error):
            raise
        values = {"gpu": None, "status": "oom", "reason": in_a_line(error, 300)}
    if report:
        with Path(report).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({"key": job.key, **values}) + "\n")
    else:
        name = f"{job.cell.task.label} · {job.cell.method}"
        ratio, control = median(values["ratios"]), median(values["ratios_of_floor"])
        with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
            print(f"\n{name}: {ratio:.3f} × bare loop (bare loop × itself: {control:.3f})")  # noqa: T201


def spin(device: torch.device, seconds: float) -> None:
    """Keep a device busy: an idle GPU has a fraction of its clock rate, which a few short steps do not raise."""
    factor = torch.eye(1024, device=device)
    product, end = factor, time.perf_counter() + seconds
    while time.perf_counter() < end:
        product = product @ factor
        if device.type == "cuda":
            torch.cuda.synchronize(device)


@disable_tf32()
def timed(benchmark, job):
    """Time the steps of a job and its bare loop; return their seconds, their counts and the state of the GPU."""
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
    batch = first_batch(problem, profile)
    start = problem.start(batch)
    # With a learning rate of zero, all rounds do the same work, including the update.
    optimiser = optimiser_for(problem, profile.training)
    for group in optimiser.param_groups:
        group["lr"] = 0.0
    execution = problem.prepared(batch)  # compiles or captures T, which must not be timed
    counts = StepCounts.of(training_step(job.cell.solver, problem, batch)[0])

    def step() -> None:
        training_step(job.cell.solver, problem, batch)
        optimiser.step()

    def bare() -> None:
        problem.operator.zero_grad(set_to_none=True)
        bare_step(problem.bind(batch), start, lambda x: problem.loss(x, batch), counts)
        optimiser.step()

    if device.type == "cuda":
        spin(device, SPIN)
    slowest = max(timed_call(step, device) + timed_call(bare, device) for _ in range(WARM_UP))
    rounds = round_count(profile.timing.rounds, profile.timing.seconds, slowest)
    seconds: list[float] = []
    bare_seconds: list[float] = []
    benchmark.pedantic(
        lambda: seconds.append(timed_call(step, device)),
        setup=lambda: bare_seconds.append(timed_call(bare, device)),
        rounds=rounds,
        iterations=1,
    )
    bare_seconds.append(timed_call(bare, device))
    # Before the control, while clocks and temperature are those of the rounds.
    gpu = gpu_state(device)
    # The bare loop against itself, in the same minute: ratios that differ from 1 by no more mean nothing.
    again = [timed_call(bare, device) for _ in range(control_count(rounds))]
    ratios = paired_ratios(seconds, bare_seconds)
    control = paired_ratios(again[1::2], again[0::2])
    benchmark.extra_info.update(ratio=median(ratios), ratio_of_floor_to_itself=median(control))
    return {
        "gpu": gpu,
        "seconds": seconds,
        "floor_seconds": bare_seconds,
        "ratios": ratios,
        "ratios_of_floor": control,
        "untaped": counts.untaped,
        "recorded": counts.taped_applications,
        "adjoint": counts.adjoint,
        "again": counts.recomputed,
        "step": execution.mode,
        "step_why": execution.reason,
        "step_seconds": execution.seconds,
    }
