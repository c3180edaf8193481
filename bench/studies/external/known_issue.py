"""A known issue of another library, and the small problems on which known issues are measured."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from solvers import Map, Solution
from solvers.conformance import relative_error

from ...config.matrix import parse_task
from ...tasks import Problem, build_problem
from ...tasks.images import Layout, find_images
from ..gradients import exact_gradient, parameter_gradient


@dataclass(frozen=True, slots=True)
class KnownIssue:
    """A row of the table: the library, the call, the result that its documentation suggests, and the measured one."""

    library: str
    what: str
    expected: str
    measured: str


Measure = Callable[[], KnownIssue]


def known_issue(
    issues: list[Measure], library: str, what: str, expected: str
) -> Callable[[Callable[[], str]], Measure]:
    """Decorator of a function that measures a known issue: it returns the row, and is appended to ``issues``."""

    def decorate(measure: Callable[[], str]) -> Measure:
        @functools.wraps(measure)
        def row() -> KnownIssue:
            return KnownIssue(library, what, expected, measure())

        issues.append(row)
        return row

    return decorate


@functools.cache
def problem() -> Problem:
    """One crop of deblurring(huber), in float64."""
    return build_problem(
        parse_task("deblurring(huber)"), find_images(), Layout(64, 1, 1), 0, dtype=torch.float64
    )


@functools.cache
def exact() -> Tensor:
    """The exact gradient of ``problem``."""
    return exact_gradient(problem(), problem().train)


def solved(solver: Callable[[Map, Tensor], Solution], scale: float = 1.0) -> Solution:
    """The solution of ``problem`` after a backward pass of the loss times ``scale``."""
    chosen = problem()
    chosen.operator.zero_grad(set_to_none=True)
    solution = solver(chosen.bind(chosen.train), chosen.start(chosen.train))
    (scale * chosen.loss(solution.x, chosen.train)).backward()
    return solution


def error_percent(solver: Callable[[Map, Tensor], Solution], scale: float = 1.0) -> str:
    """The relative error of the gradient of the loss times ``scale``: ``12 %``, ``0.0012 %``."""
    solved(solver, scale)
    error = relative_error(parameter_gradient(problem()) / scale, exact())
    return f"{100 * error:.2g} %" if error < 0.1 else f"{100 * error:.0f} %"


def raised(attempt: Callable[[], object]) -> str:
    """The exception of an attempt in a few words, or ``nothing raised``."""
    try:
        attempt()
    except Exception as error:
        text = " ".join(str(error).split())
        return f"{type(error).__name__}: {text if len(text) <= 60 else '…' + text[-60:]}"
    return "nothing raised"


def second_derivative(x: Tensor, parameter: Tensor) -> str:
    """``d²(½x²)/dp²`` by differentiating twice; ``no tape`` if the gradient has none, or a RuntimeError in words."""
    try:
        (first,) = torch.autograd.grad(0.5 * x.square().sum(), parameter, create_graph=True)
        if not first.requires_grad:
            return "no tape"
        return f"{float(torch.autograd.grad(first.sum(), parameter)[0].sum()):.4g}"
    except RuntimeError as error:
        return f"RuntimeError: {' '.join(str(error).split())[:50]}"
