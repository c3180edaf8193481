"""What a trap is, and the small problems on which traps are shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from solvers import Map, Solution

from ...config.matrix import parse_task
from ...measurement.hypergradient import reference_gradient
from ...measurement.training import parameters
from ...tasks import Problem, build_problem
from ...tasks.images import Layout, find_images


@dataclass(frozen=True, slots=True)
class KnownIssue:
    """One trap: whose it is, what is done, what one would expect of it, and what was measured."""

    library: str
    what: str
    expected: str
    measured: str


@cache
def problem(crop: int = 64) -> Problem:
    """A crop of deblurring(huber), in float64."""
    return build_problem(
        parse_task("deblurring(huber)"), find_images(), Layout(crop, 1, 1), 0, dtype=torch.float64
    )


@cache
def exact(crop: int = 64) -> Tensor:
    """The hypergradient of that crop."""
    found = problem(crop)
    batch = found.train
    return reference_gradient(
        found.limit(batch), parameters(found), found.start(batch), lambda x: found.loss(x, batch)
    ).gradient


def gradient(solver: Callable[[Map, Tensor], Solution], scale: float = 1.0, crop: int = 64) -> Tensor:
    """What is left in the parameters by a loss times ``scale``, divided by ``scale``."""
    found = problem(crop)
    found.operator.zero_grad(set_to_none=True)
    solution = solver(found.bind(found.train), found.start(found.train))
    (scale * found.loss(solution.x, found.train)).backward()
    return torch.cat([p.grad.flatten() for p in parameters(found) if p.grad is not None]) / scale


def off(found: Tensor, wanted: Tensor) -> float:
    """``‖found − wanted‖ / ‖wanted‖``."""
    return float(torch.linalg.vector_norm(found - wanted) / torch.linalg.vector_norm(wanted))


def issue_percent(value: float) -> str:
    """``12 %``, ``0.0012 %``."""
    return f"{100 * value:.2g} %" if value < 0.1 else f"{100 * value:.0f} %"


def raised(attempt: Callable[[], object]) -> str:
    """The exception that an attempt ends in, in a few words; ``nothing raised`` for none."""
    try:
        attempt()
    except Exception as error:
        text = " ".join(str(error).split())
        return f"{type(error).__name__}: {text if len(text) <= 60 else '…' + text[-60:]}"
    return "nothing raised"


def second_derivative(x: Tensor, parameter: Tensor) -> Tensor | None:
    """``d²(½x²)/dp²`` by differentiating twice; ``None`` where the gradient has no tape."""
    (first,) = torch.autograd.grad(0.5 * x.square().sum(), parameter, create_graph=True)
    return torch.autograd.grad(first.sum(), parameter)[0] if first.requires_grad else None
