"""Products of ``certified(rtol)`` against the best tolerances: ``python -m bench.studies.certified_cost``.

The best pair is found with the exact gradient at hand, which no user has: its products are what a certificate has to
come near. All counts are those of ``Solution.work``.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from solvers import GMRES, Anderson, ImplicitDifferentiation, Solution, Solver, certified, implicit
from solvers.conformance import relative_error

from ..config.matrix import parse_task
from ..measurement.training import training_step
from ..operators import Splitting, forward_backward, peaceman_rachford
from ..tasks import Problem, build_problem
from ..tasks.images import Images, Layout, find_images
from .gradients import parameter_gradient

TASKS = ("deblurring(huber)", "inpainting(huber)", "denoising(huber)", "deblurring(huber(0.01, 0.005))")
OPERATORS = (forward_backward(), peaceman_rachford())
CROP = 64
"""Side of the crop in pixels."""
FORWARD = tuple(10 ** (-1.5 - 0.75 * k) for k in range(8))
"""Tolerances of Anderson acceleration, from 3e-2 to 2e-7."""
ADJOINT = tuple(10 ** (-0.5 - 0.5 * k) for k in range(8))
"""Tolerances of GMRES, from 0.3 to 1e-4."""
MEMORIES = (30, 300)
"""Dimensions of a Krylov space: the default, and one that no solve fills."""
BUDGET = 3000
EXACT = implicit(Anderson(1e-13, 3000), GMRES(1e-12, 2000))
HEADER = ["task", "operator", "best pair", "products", "error", "certified", "error", "bound", "ratio"]


@dataclass(frozen=True, slots=True)
class CertifiedCost:
    """One comparison; errors are relative.

    Attributes:
        task, operator: labels.
        pair: label of the cheapest pair of tolerances within ``rtol``; empty if none is.
        least, pair_error: its work and its error.
        work, error, bound: of ``certified(rtol)``.
    """

    task: str
    operator: str
    pair: str
    least: float
    pair_error: float
    work: float
    error: float
    bound: float

    @property
    def ratio(self) -> float:
        """Work of ``certified(rtol)`` over that of the pair."""
        return self.work / self.least


def gradient_of(solver: Solver, problem: Problem) -> tuple[Tensor, Solution]:
    """The gradient of a solver on the training batch, as one vector, and its solution."""
    solution, _ = training_step(solver, problem, problem.train)
    return parameter_gradient(problem), solution


def best_pair(
    problem: Problem,
    exact: Tensor,
    rtol: float,
    forward: Sequence[float] = FORWARD,
    adjoint: Sequence[float] = ADJOINT,
    memories: Sequence[int] = MEMORIES,
) -> tuple[str, float, float]:
    """Label, work and error of the cheapest ``implicit(anderson(a), gmres(b))`` on a grid within ``rtol``."""
    batch = problem.train
    T, start, criterion = problem.bind(batch), problem.start(batch), problem.criterion(batch)
    best = ("", math.inf, math.nan)
    for a in forward:
        with torch.no_grad():
            point = Anderson(a, BUDGET)(T, start)
        if point.report.evaluations >= best[1]:
            break
        for memory in memories:
            for b in adjoint:
                problem.operator.zero_grad(set_to_none=True)
                solution = ImplicitDifferentiation(GMRES(b, BUDGET, memory))(T, point)
                criterion(solution.x).backward()
                if solution.work >= best[1]:
                    break
                error = relative_error(parameter_gradient(problem), exact)
                if error <= rtol:
                    best = (f"{a:.1e}, {b:.1e}, {memory}", solution.work, error)
    return best


def compare(task: str, operator: Splitting, images: Images, rtol: float, crop: int = CROP) -> CertifiedCost:
    """Compare on one crop in float64, with one seed."""
    parsed = replace(parse_task(task), splitting=operator)
    problem = build_problem(parsed, images, Layout(crop, 1, 1), 0, dtype=torch.float64)
    exact, _ = gradient_of(EXACT, problem)
    pair, least, pair_error = best_pair(problem, exact, rtol)
    gradient, solution = gradient_of(certified(rtol), problem)
    error, bound = relative_error(gradient, exact), solution.certificates[0].relative
    return CertifiedCost(task, operator.label, pair, least, pair_error, solution.work, error, bound)


def all_rows(rtol: float, tasks: Sequence[str] = TASKS) -> Iterator[CertifiedCost]:
    """A row for each task on each operator."""
    images = find_images()
    for operator in OPERATORS:
        for task in tasks:
            yield compare(task, operator, images, rtol)


def line(row: CertifiedCost) -> str:
    """A row as a line of a table in Markdown."""
    cells = [row.task, row.operator, row.pair, f"{row.least:g}", f"{row.pair_error:.1e}", f"{row.work:g}"]
    return f"| {' | '.join([*cells, f'{row.error:.1e}', f'{row.bound:.1e}', f'{row.ratio:.2f}'])} |\n"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.studies.certified_cost", description=__doc__)
    parser.add_argument("--rtol", type=float, default=1e-2, help="relative error of the gradient")
    parser.add_argument("--task", action="append", help="its call, as in a profile; four by default")
    options = parser.parse_args()
    torch.set_num_threads(1)
    sys.stdout.write(f"| {' | '.join(HEADER)} |\n|{'---|' * len(HEADER)}\n")
    for row in all_rows(options.rtol, options.task or TASKS):
        sys.stdout.write(line(row))
        sys.stdout.flush()


if __name__ == "__main__":
    main()
