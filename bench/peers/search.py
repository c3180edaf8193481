"""What each peer needs for a given accuracy: the cheapest budgets of a setting, on one real crop in float64."""

from __future__ import annotations

import statistics
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache

import torch

from solvers import Solution

from ..images import Layout, find_images
from ..matrix import parse_solver, parse_task
from ..oracle import hypergradient
from ..tasks import Instance, instance
from ..training import parameters, training_step

SETTINGS = (
    "deepinv_deq({F}, {B})",
    "deepinv_deq({F}, {B}, anderson=True, history=10, regularisation=1e-16, thres=1e-12)",
    "deepinv_anderson({F}, {B}, 5, 0.9, 1e-12, 10, 1.0, 1e-16, thres=1e-12)",
    "torchdeq_ift({F}, {B}, tol=0, tol_backward=0)",
    "torchdeq_anderson({F}, {B}, tol=0, tol_backward=0, m=10, lam=1e-12, lam_backward=1e-16)",
    "torchdeq_broyden({F}, {B}, tol=0, tol_backward=0)",
)
"""Calls of peers with budgets to be found; their tolerances are such that budgets decide."""

FORWARD = (10, 15, 20, 25, 30, 35, 40, 50, 60, 80, 100, 150, 200, 300)
BACKWARD = (5, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 80, 100, 150, 200, 300)
ERRORS = (0.1, 0.01, 0.001)
TRIES = 12
"""Pairs of budgets that are tried where either alone would do."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One training step: what it was, its work, its relative error, and its duration in seconds."""

    call: str
    applications: int
    vjps: int
    error: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Bench:
    """One crop of a task, and its exact hypergradient."""

    problem: Instance
    exact: torch.Tensor

    def step(self, call: str, rounds: int = 1) -> Outcome:
        """The call on the first training crop; the median of the durations of ``rounds`` steps."""
        solver = parse_solver(call)
        seconds: list[float] = []
        solution: Solution | None = None
        for _ in range(rounds):
            begin = time.perf_counter()
            solution, _ = training_step(solver, self.problem, self.problem.train)  # pyright: ignore[reportArgumentType]
            seconds.append(time.perf_counter() - begin)
        assert solution is not None, "rounds is at least 1"
        found = torch.cat([p.grad.flatten() for p in parameters(self.problem) if p.grad is not None])
        error = float(torch.linalg.vector_norm(found - self.exact) / torch.linalg.vector_norm(self.exact))
        return Outcome(solver.label, solution.applications, solution.vjps, error, statistics.median(seconds))


@cache
def bench(task: str = "deblurring(huber)", crop: int = 256) -> Bench:
    """A crop of a task, in float64."""
    problem = instance(parse_task(task), find_images(), Layout(crop, 1, 1), 0, dtype=torch.float64)
    batch = problem.train
    exact = hypergradient(
        problem.limit(batch), parameters(problem), problem.start(batch), lambda x: problem.loss(x, batch)
    )
    return Bench(problem, exact.gradient)


def cheapest(step: Callable[[str], Outcome], setting: str, target: float) -> Outcome | None:
    """The least applications + VJPs of a setting that reach an error; ``None`` where none were found.

    The least budget each way is found by bisection, beside the largest of the other; from there up, the cheapest
    pair that reaches the target together.
    """

    def at(F: int, B: int) -> Outcome:
        return step(setting.format(F=F, B=B))

    first = bisect_left(FORWARD, True, key=lambda F: at(F, BACKWARD[-1]).error <= target)
    second = bisect_left(BACKWARD, True, key=lambda B: at(FORWARD[-1], B).error <= target)
    pairs = sorted(((F, B) for F in FORWARD[first:] for B in BACKWARD[second:]), key=sum)
    for F, B in pairs[:TRIES]:
        if at(F, B).error <= target:
            return at(F, B)
    return None


def cheapest_table(settings: Iterable[str] = SETTINGS) -> Iterator[str]:
    """Every setting at every error of ``ERRORS``, as lines of Markdown."""
    step = cache(bench().step)
    yield "| setting | F, B: applications + VJPs, error ≤ 10 % | ≤ 1 % | ≤ 0.1 % |"
    yield "|:--|:--|:--|:--|"
    for setting in settings:
        found = [cheapest(step, setting, target) for target in ERRORS]
        yield f"| `{setting}` | {' | '.join(_shown(o) for o in found)} |"


def step_table(calls: Iterable[str], rounds: int) -> Iterator[str]:
    """A step of each call, as lines of Markdown."""
    yield "| call | applications | VJPs | error | ms |"
    yield "|:--|--:|--:|--:|--:|"
    for call in calls:
        o = bench().step(call, rounds)
        yield f"| `{o.call}` | {o.applications} | {o.vjps} | {o.error:.2g} | {1e3 * o.seconds:.0f} |"


def _shown(outcome: Outcome | None) -> str:
    if outcome is None:
        return "not reached"
    F, B = outcome.call.partition("(")[2].rstrip(")").split(", ")[:2]  # a label begins with its budgets
    return f"{F}, {B}: {outcome.applications} + {outcome.vjps}, {100 * outcome.error:.2g} %"
