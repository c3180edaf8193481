"""Products of ``CertifiedDescent`` against L-BFGS at the best fixed tolerance.

    python -m bench.studies.fixed_tolerances

The best tolerance is found with the exact losses at hand, which no user has. All rows take the same L-BFGS directions
from the same weights, with warm starts.
"""

# The stubs of pandas know neither the types of columns nor those of rows.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd
import torch

from solvers import GMRES, Anderson, certified, implicit
from solvers.optimisers import LBFGS, CertifiedDescent

from ..config.matrix import parse_task
from ..operators import peaceman_rachford
from ..tasks import Task
from ..tasks.images import Images, Layout, find_images
from .learning.exact import ExactLoss
from .learning.measure import measure
from .learning.row import Row
from .learning.study import TASKS
from .learning.table import Measured, reached, step_frame

RTOLS = (0.3, 0.1, 0.03, 0.01, 0.003)
"""Of ``certified``, and of the adjoint equation of ``implicit``."""
FORWARD = 30.0
"""Residual of the adjoint equation over that of the equilibrium."""
SHARE = 0.99
"""Share of the gain whose products are compared."""
STEPS, PRODUCTS = 30, 600
"""Limits of each row."""
HEADER = ["task", "seed", "best fixed", "products", "rises", "certified", "rises", "above best, dB", "ratio"]


@dataclass(frozen=True, slots=True)
class FixedCost:
    """One comparison.

    Attributes:
        task, seed: of the objective.
        best: estimator of the fixed row with the fewest products to 99 % of the gain; empty if none gets there.
        least: its products; infinite if there is none.
        fixed_rises: accepted steps of that row which raise the exact loss; 0 if there is none.
        products: of the certified descent to 99 % of the gain; nan if it does not get there.
        rises: accepted steps of the certified descent which raise the exact loss.
        above: its smallest exact loss above the smallest of all rows, in dB.
    """

    task: str
    seed: int
    best: str
    least: float
    fixed_rises: int
    products: float
    rises: int
    above: float

    @property
    def ratio(self) -> float:
        """Products of the certified descent over those at the best fixed tolerance."""
        return self.products / self.least


def rows() -> list[Row]:
    """The certified descent, and then a row for each fixed tolerance."""
    splitting = peaceman_rachford(depth=10)
    fixed = [
        *(certified(rtol) for rtol in RTOLS),
        *(implicit(Anderson(rtol / FORWARD), GMRES(rtol)) for rtol in RTOLS),
    ]
    return [
        Row("", splitting, certified(0.1), CertifiedDescent(), True, STEPS, PRODUCTS),
        *(Row("", splitting, solver, LBFGS(), True, STEPS, PRODUCTS) for solver in fixed),
    ]


def compare(task: Task, images: Images, layout: Layout, seed: int) -> FixedCost:
    """Compare on the training crops of a task, in float64. Raises ``UserError`` if there is no exact loss."""
    exact = ExactLoss(task, images, layout, seed)
    found = [
        Measured(row, task.label, seed, measure(row, task, images, layout, seed, exact)) for row in rows()
    ]
    steps = step_frame(found)
    parts = [part for _, part in steps.groupby("row", sort=False)]
    costs = [reached(part, SHARE, "products") for part in parts]
    own, best = parts[0], math.inf
    label, rises = "", 0
    for part, cost in zip(parts[1:], costs[1:], strict=True):
        if cost < best:
            best, label, rises = cost, str(part["estimator"].iloc[0]), rises_of(part)
    above = 10 * math.log10(float(own["loss"].min()) / float(steps["loss"].min()))
    return FixedCost(task.label, seed, label, best, rises, costs[0], rises_of(own), above)


def rises_of(steps: pd.DataFrame) -> int:
    """Number of steps of a row whose exact loss is above the one before."""
    return int((steps["loss"].diff() > 0).sum())


def all_comparisons(tasks: Sequence[str], crops: int, crop: int, seeds: int) -> Iterator[FixedCost]:
    """A comparison for each task and seed."""
    images = find_images()
    for task in tasks:
        for seed in range(seeds):
            yield compare(parse_task(task), images, Layout(crop, crops, 1), seed)


def line(cost: FixedCost) -> str:
    """A comparison as a line of a table in Markdown."""
    cells = [cost.task, str(cost.seed), cost.best or "none", f"{cost.least:g}", str(cost.fixed_rises)]
    cells += [f"{cost.products:g}", str(cost.rises), f"{cost.above:.4f}", f"{cost.ratio:.2f}"]
    return f"| {' | '.join(cells)} |\n"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.studies.fixed_tolerances", description=__doc__)
    parser.add_argument("--task", action="append", help="its call, as in a profile; four by default")
    parser.add_argument("--crops", type=int, default=1, help="number of crops, all in one batch")
    parser.add_argument("--crop", type=int, default=64, help="side of the crops in pixels")
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds, from 0")
    options = parser.parse_args()
    torch.set_num_threads(1)
    sys.stdout.write(f"| {' | '.join(HEADER)} |\n|{'---|' * len(HEADER)}\n")
    for cost in all_comparisons(options.task or TASKS, options.crops, options.crop, options.seeds):
        sys.stdout.write(line(cost))
        sys.stdout.flush()


if __name__ == "__main__":
    main()
