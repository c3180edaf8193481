"""What each peer needs for a given accuracy: the cheapest budgets of a setting, on one real crop in float64.

An accuracy is reached where it is on every draw of the noise: errors move twofold from one draw to another.
"""

from __future__ import annotations

import math
import statistics
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache

import torch

from solvers import Solution

from ...config.matrix import parse_solver, parse_task
from ...measurement.hypergradient import reference_gradient
from ...measurement.training import parameters, training_step
from ...tasks import Problem, build_problem
from ...tasks.images import Layout, find_images

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
DRAWS = 3
"""Of the noise; those of ``pareto``, so that peers are held to what their settings were found for."""
TRIES = 12
"""Pairs of budgets that are tried where either alone would do."""


@dataclass(frozen=True, slots=True)
class SearchResult:
    """One training step: what it was, its work, its largest relative error over the draws, and its duration in seconds.

    Work and duration are those of the first draw.
    """

    call: str
    applications: float
    vjps: float
    error: float
    seconds: float


@dataclass(frozen=True, slots=True)
class ReferenceProblem:
    """One crop of a task, and its exact hypergradient, for each draw of its noise."""

    problems: tuple[Problem, ...]
    exact: tuple[torch.Tensor, ...]

    def step(self, call: str, rounds: int = 1) -> SearchResult:
        """The call on the first training crop; the median of the durations of ``rounds`` steps of the first draw."""
        solver = parse_solver(call)
        seconds: list[float] = []
        solution: Solution | None = None
        for _ in range(rounds):
            begin = time.perf_counter()
            solution, _ = training_step(solver, self.problems[0], self.problems[0].train)
            seconds.append(time.perf_counter() - begin)
        assert solution is not None, "rounds is at least 1"
        errors = [_error(self.problems[0], self.exact[0])]
        for problem, exact in zip(self.problems[1:], self.exact[1:], strict=True):
            training_step(solver, problem, problem.train)
            errors.append(_error(problem, exact))
        work = (solution.evaluations, solution.products)
        return SearchResult(solver.label, *work, max(errors), statistics.median(seconds))


def _error(problem: Problem, exact: torch.Tensor) -> float:
    found = torch.cat([p.grad.flatten() for p in parameters(problem) if p.grad is not None])
    error = float(torch.linalg.vector_norm(found - exact) / torch.linalg.vector_norm(exact))
    return error if math.isfinite(error) else math.inf  # so that the largest of several says so


@cache
def bench(task: str = "deblurring(huber)", crop: int = 256) -> ReferenceProblem:
    """A crop of a task, in float64."""
    parsed, images, layout = parse_task(task), find_images(), Layout(crop, 1, 1)
    problems = tuple(
        build_problem(parsed, images, layout, 0, dtype=torch.float64, draw=draw) for draw in range(DRAWS)
    )
    return ReferenceProblem(problems, tuple(_exact(problem) for problem in problems))


def _exact(problem: Problem) -> torch.Tensor:
    batch = problem.train
    return reference_gradient(
        problem.limit(batch), parameters(problem), problem.start(batch), lambda x: problem.loss(x, batch)
    ).gradient


def least_work(step: Callable[[str], SearchResult], setting: str, target: float) -> SearchResult | None:
    """The least applications + VJPs of a setting that reach an error; ``None`` where none were found.

    The least budget each way is found by bisection, beside the largest of the other; from there up, the cheapest
    pair that reaches the target together.
    """

    def at(F: int, B: int) -> SearchResult:
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
        found = [least_work(step, setting, target) for target in ERRORS]
        yield f"| `{setting}` | {' | '.join(_shown(o) for o in found)} |"


def step_table(calls: Iterable[str], rounds: int) -> Iterator[str]:
    """A step of each call, as lines of Markdown."""
    yield "| call | applications | VJPs | error | ms |"
    yield "|:--|--:|--:|--:|--:|"
    for call in calls:
        o = bench().step(call, rounds)
        yield f"| `{o.call}` | {o.applications:g} | {o.vjps:g} | {o.error:.2g} | {1e3 * o.seconds:.0f} |"


def _shown(outcome: SearchResult | None) -> str:
    if outcome is None:
        return "not reached"
    F, B = outcome.call.partition("(")[2].rstrip(")").split(", ")[:2]  # a label begins with its budgets
    return f"{F}, {B}: {outcome.applications:g} + {outcome.vjps:g}, {100 * outcome.error:.2g} %"
