"""The cheapest budgets of other libraries' solvers for a given accuracy, on one real crop in float64.

An accuracy counts as reached if it is reached on every draw of the noise: errors differ twofold between draws.
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

from solvers.conformance import relative_error

from ...config.matrix import parse_solver, parse_task
from ...measurement.training import training_step
from ...tasks import Problem, build_problem
from ...tasks.images import Layout, find_images
from ..gradients import exact_gradient, parameter_gradient

SETTINGS = (
    "deepinv_deq({F}, {B})",
    "deepinv_deq({F}, {B}, anderson=True, history=10, regularisation=1e-16, thres=1e-12)",
    "deepinv_anderson({F}, {B}, 5, 0.9, 1e-12, 10, 1.0, 1e-16, thres=1e-12)",
    "torchdeq_ift({F}, {B}, tol=0, tol_backward=0)",
    "torchdeq_anderson({F}, {B}, tol=0, tol_backward=0, m=10, lam=1e-12, lam_backward=1e-16)",
    "torchdeq_broyden({F}, {B}, tol=0, tol_backward=0)",
)
"""Calls with forward and backward budgets F and B to be found; the tolerances are too small to be met."""
FORWARD = (10, 15, 20, 25, 30, 35, 40, 50, 60, 80, 100, 150, 200, 300)
BACKWARD = (5, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 80, 100, 150, 200, 300)
ERRORS = (0.1, 0.01, 0.001)
DRAWS = 3
"""Draws of the noise; the profile ``pareto`` has the same number."""
TRIES = 12
"""Number of pairs of budgets that are tried."""


@dataclass(frozen=True, slots=True)
class SearchResult:
    """One training step: its counts, its largest relative error over the draws, and its duration in seconds.

    Counts and duration are those of the first draw.
    """

    call: str
    applications: float
    vjps: float
    error: float
    seconds: float


@dataclass(frozen=True, slots=True)
class ReferenceProblem:
    """One crop of a task and its exact gradient, for each draw of its noise."""

    problems: tuple[Problem, ...]
    exact: tuple[torch.Tensor, ...]

    def step(self, call: str, rounds: int = 1) -> SearchResult:
        """One step of the call on each draw; on the first draw ``rounds`` steps, whose median is the duration."""
        solver = parse_solver(call)
        seconds: list[float] = []
        for _ in range(rounds):
            begin = time.perf_counter()
            solution, _ = training_step(solver, self.problems[0], self.problems[0].train)
            seconds.append(time.perf_counter() - begin)
        errors = [_error(self.problems[0], self.exact[0])]
        for problem, exact in zip(self.problems[1:], self.exact[1:], strict=True):
            training_step(solver, problem, problem.train)
            errors.append(_error(problem, exact))
        counts = (solution.evaluations, solution.products)  # pyright: ignore[reportPossiblyUnboundVariable]
        return SearchResult(solver.label, *counts, max(errors), statistics.median(seconds))


def _error(problem: Problem, exact: torch.Tensor) -> float:
    error = relative_error(parameter_gradient(problem), exact)
    return error if math.isfinite(error) else math.inf  # nan would get lost in a maximum


@cache
def reference_problem() -> ReferenceProblem:
    """A crop of deblurring(huber) of 256², in float64."""
    task, images, layout = parse_task("deblurring(huber)"), find_images(), Layout(256, 1, 1)
    problems = tuple(
        build_problem(task, images, layout, 0, dtype=torch.float64, draw=draw) for draw in range(DRAWS)
    )
    return ReferenceProblem(problems, tuple(exact_gradient(p, p.train) for p in problems))


def least_work(step: Callable[[str], SearchResult], setting: str, target: float) -> SearchResult | None:
    """The fewest applications + VJPs with which a setting reaches an error; ``None`` if none were found.

    Bisection finds the least budget of each kind, beside the largest of the other. Of the pairs from there up, the
    cheapest that reaches the target is taken.
    """

    def result(F: int, B: int) -> SearchResult:
        return step(setting.format(F=F, B=B))

    first = bisect_left(FORWARD, True, key=lambda F: result(F, BACKWARD[-1]).error <= target)
    second = bisect_left(BACKWARD, True, key=lambda B: result(FORWARD[-1], B).error <= target)
    pairs = sorted(((F, B) for F in FORWARD[first:] for B in BACKWARD[second:]), key=sum)
    results = (result(F, B) for F, B in pairs[:TRIES])
    return next((each for each in results if each.error <= target), None)


def cheapest_table(settings: Iterable[str] = SETTINGS) -> Iterator[str]:
    """Every setting at every error of ``ERRORS``, as lines of Markdown."""
    step = cache(reference_problem().step)
    yield "| setting | F, B: applications + VJPs, error ≤ 10 % | ≤ 1 % | ≤ 0.1 % |"
    yield "|:--|:--|:--|:--|"
    for setting in settings:
        cells = [_cell(least_work(step, setting, target)) for target in ERRORS]
        yield f"| `{setting}` | {' | '.join(cells)} |"


def _cell(result: SearchResult | None) -> str:
    if result is None:
        return "not reached"
    F, B = result.call.partition("(")[2].rstrip(")").split(", ")[:2]  # a label begins with its budgets
    return f"{F}, {B}: {result.applications:g} + {result.vjps:g}, {100 * result.error:.2g} %"


def step_table(calls: Iterable[str], rounds: int) -> Iterator[str]:
    """A step of each call, as lines of Markdown."""
    yield "| call | applications | VJPs | error | ms |"
    yield "|:--|--:|--:|--:|--:|"
    for call in calls:
        r = reference_problem().step(call, rounds)
        yield f"| `{r.call}` | {r.applications:g} | {r.vjps:g} | {r.error:.2g} | {1e3 * r.seconds:.0f} |"
