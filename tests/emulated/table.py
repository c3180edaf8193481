"""Launches, waits and uploads of operators and solvers, as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from bench.config.matrix import parse_solver, parse_task
from bench.measurement.past_depth import iterate_past
from bench.measurement.training import parameters, training_step
from bench.tasks import Problem
from solvers import CG, GMRES, Anderson, Nesterov, Picard

# Not public: an adjoint equation without the forward solve before it.
from solvers._adjoint.adjoint_map import TapedAdjoint
from tests.emulated.cases import problem
from tests.emulated.counts import Counts, counted
from tests.emulated.cuda import emulated

OPERATORS = (
    "deblurring(huber)",
    "denoising(huber)",
    "deblurring_colour(l1)",
    "deblurring_colour(orientations_colours)",
    "deblurring(union)",
    "deblurring(orientations(coupled=True))",
    "deblurring_colour(drunet)",
)
REACHES = {"picard": Picard(1e-3), "nesterov": Nesterov(1e-3), "anderson": Anderson(1e-3)}
ADJOINTS = {"gmres": GMRES(1e-6), "cg": CG(1e-6)}
STEPS = ("unrolled(10)", "neumann(10, 10)", "deq(0.001)", "certified(0.1)")
DEPTH = 1


@dataclass(frozen=True, slots=True)
class Line:
    """A solve: what is counted, applications and products, and the counts of them all."""

    name: str
    made: int
    seen: Counts


def operators() -> list[str]:
    """The table of operators."""
    rows = []
    for text in OPERATORS:
        of = problem(parse_task(text), "cuda", torch.float32)
        T, at = of.bind(of.train), of.start(of.train).requires_grad_()
        T(at)  # what is looked at once
        with counted() as applied:
            y = T(at)
        u = torch.ones_like(y)
        with counted() as product:
            torch.autograd.grad(y, at, u, retain_graph=True)
        with counted() as both:
            torch.autograd.grad(y, [at, *parameters(of)], u, allow_unused=True)
        cells = (f"{_sum(c.waits)}, {_sum(c.uploads)}" for c in (applied, product))
        rows.append([f"`{text}`", *(str(c.launches) for c in (applied, product, both)), *cells])
    return _markdown(["operator", "T", "Jᵀu", "Jᵀu and Bᵀu", "waits, uploads of T", "of Jᵀu"], rows)


def solvers() -> list[str]:
    """The table of solvers, on operators that each of them is for."""
    names = ("inpainting(huber)", "denoising(orientations(0.02, 0.02))")
    of, symmetric = (problem(parse_task(name), "cuda") for name in names)
    lines = [_reach(name, reach, of) for name, reach in REACHES.items()]
    lines += [_adjoint(name, solve, symmetric if name == "cg" else of) for name, solve in ADJOINTS.items()]
    lines += [_past(of), *(_step(text, of) for text in STEPS)]
    rows = [[line.name, str(line.made), *_each(line)] for line in lines]
    return _markdown(
        ["solve", "applications and products", "launches each", "waits each", "uploads each"], rows
    )


def _each(line: Line) -> list[str]:
    waits, uploads = _sum(line.seen.waits), _sum(line.seen.uploads)
    return [
        f"{line.seen.launches / line.made:.0f}",
        f"{waits / line.made:.2f}",
        f"{uploads / line.made:.2f}",
    ]


def _sum(counter: dict[str, int]) -> int:
    return sum(counter.values())


def _reach(name: str, reach: Callable[..., object], of: Problem) -> Line:
    with torch.no_grad(), counted() as seen:
        found = reach(of.bind(of.train), of.start(of.train))
    return Line(f"`{name}`", found.report.applications, seen)  # pyright: ignore[reportAttributeAccessIssue]


def _adjoint(name: str, solve: Callable[..., object], of: Problem) -> Line:
    T, x = of.bind(of.train), of.start(of.train).requires_grad_()
    with torch.enable_grad():
        y = T(x)
    v = torch.cos(9 * y.detach())
    with counted() as seen:
        found = solve(TapedAdjoint(x, y, v, None), v)
    return Line(f"`{name}`", found.report.applications, seen)  # pyright: ignore[reportAttributeAccessIssue]


def _past(of: Problem) -> Line:
    T, made = of.bind(of.train), [0]

    def applied(x: Tensor) -> Tensor:
        made[0] += 1
        return T(x)

    with counted() as seen:
        iterate_past(applied, of.start(of.train), DEPTH, lambda x: 0.0, 1000)
    return Line("past the trained depth", made[0], seen)


def _step(text: str, of: Problem) -> Line:
    training_step(parse_solver(text), of, of.train)
    with counted() as seen:
        solution, _ = training_step(parse_solver(text), of, of.train)
    return Line(f"a step of `{text}`", solution.applications + solution.vjps, seen)


def _markdown(head: list[str], rows: Iterable[list[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]


def main() -> int:
    """Print both tables."""
    torch.set_num_threads(1)
    with emulated():
        print("\n".join([*operators(), "", *solvers()]))  # noqa: T201
    return 0
