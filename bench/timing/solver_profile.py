"""Where a solver spends its time besides T and its derivative: ``python -m bench.timing.solver_profile --help``."""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch.autograd.profiler_util import FunctionEvent
from torch.profiler import ProfilerActivity, profile, record_function

from solvers import Map, Solver

from ..config.matrix import parse_operator, parse_solver, parse_task
from ..external import ExternalSolver
from ..measurement.training import training_step
from ..tasks import Problem, build_problem
from ..tasks.images import Layout, find_images
from ..utils.errors import UserError

APPLICATION = "T"
PRODUCT = "autograd::engine::evaluate_function"
REST = "between operations"
"""Python, and what the profiler itself takes."""


def parts(solver: Solver | ExternalSolver, problem: Problem, rounds: int) -> dict[str, float]:
    """Seconds of a training step in T, in products with its derivative, and in each operation of the solver.

    Returns:
        Means over ``rounds`` steps, the longest first. An operation includes those that it calls.
    """
    training_step(solver, problem, problem.train)
    with applications_named(problem.bind(problem.train)), profile(activities=[ProfilerActivity.CPU]) as seen:
        begin = time.perf_counter()
        for _ in range(rounds):
            training_step(solver, problem, problem.train)
        whole = time.perf_counter() - begin
    seconds: dict[str, float] = defaultdict(float)
    for event in seen.events() or ():
        if event.cpu_parent is None:
            seconds[part(event)] += 1e-6 * event.cpu_time_total / rounds
    seconds[REST] = whole / rounds - sum(seconds.values())
    return dict(sorted(seconds.items(), key=lambda item: -item[1]))


def part(event: FunctionEvent) -> str:
    """The part of a step that an outermost operation belongs to."""
    return "VJP" if event.name.startswith(PRODUCT) else event.name.removeprefix("aten::")


@contextmanager
def applications_named(T: Map) -> Iterator[None]:
    """Record each call of a map of this type as one event; the map keeps all that solvers ask it for."""
    kind, call = type(T), type(T).__call__

    def recorded(self: Map, x: torch.Tensor) -> torch.Tensor:
        with record_function(APPLICATION):
            return call(self, x)

    kind.__call__ = recorded
    try:
        yield
    finally:
        kind.__call__ = call


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.timing.solver_profile", description=__doc__)
    parser.add_argument("solver", nargs="+", help="its call, as in a profile")
    parser.add_argument("--task", default="deblurring(huber)", help="its call, as in a profile")
    parser.add_argument("--operator", default="forward_backward")
    parser.add_argument("--size", type=int, default=256, help="side of the image in pixels")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    try:
        solvers = {text: parse_solver(text) for text in options.solver}
        task = replace(parse_task(options.task), splitting=parse_operator(options.operator))
    except UserError as error:
        parser.error(str(error))
    problem = build_problem(task, find_images(None), Layout(options.size, 1, 1), 0, dtype=torch.float64)
    for text, solver in solvers.items():
        seconds = parts(solver, problem, options.rounds)
        whole = sum(seconds.values())
        sys.stdout.write(f"{text}: {1e3 * whole:.1f} ms\n")
        for name, value in seconds.items():
            if value > 0.002 * whole:
                sys.stdout.write(f"  {name:28} {1e3 * value:8.2f} ms {value / whole:6.1%}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
