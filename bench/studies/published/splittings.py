"""A gradient at published weights by several operators: ``python -m bench.studies.published.splittings --help``."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import pandas as pd
import torch
import typer

from solvers import CG, GMRES, Anderson, ProxCG, QuasiNewton, Solver, implicit

from ...measurement.training import training_step
from ...operators import Splitting, admm, forward_backward, primal_dual
from ...regularisers import crr
from ...tasks import Problem, build_problem, denoising
from ...tasks.images import Layout, find_images
from ...utils.console import run_command, say
from ..gradients import parameter_gradient
from ..learning.study import one_thread
from .reference import LOOSE
from .rows import ADVISED
from .weights import NOISE

app = typer.Typer(add_completion=False, rich_markup_mode=None)

ROWS: tuple[tuple[Splitting, Solver], ...] = (
    (forward_backward(), ADVISED),
    (forward_backward(), implicit(QuasiNewton(1e-9), CG(1e-5))),
    (forward_backward(), implicit(QuasiNewton(3e-10), CG(1e-5))),
    (admm(), implicit(Anderson(1e-5, 2000), ProxCG(1e-3, 500))),
    (admm(), implicit(Anderson(3e-6, 2000), ProxCG(1e-3, 500))),
    (admm(), implicit(Anderson(1e-6, 2000), ProxCG(1e-3, 500))),
    (primal_dual(), implicit(Anderson(1e-6, 600), GMRES(1e-3, 150))),
)
"""The first row of an operator with an error below 1 % is its price."""


@app.command()
def splittings(
    weights: Annotated[Path, typer.Option("--weights", help="A weight file of crr.")],
    images: Annotated[Path, typer.Option("--images", help="A folder of grey images.")],
    crop: Annotated[int, typer.Option("--crop", help="Side of the crop.", min=16)] = 64,
) -> None:
    """Print products, milliseconds and error of one gradient of denoising, with circular filters, in float64."""
    prior = crr(circular=True).with_weights(str(weights))
    found, layout = find_images(str(images)), Layout(crop, 1, 1)

    def made(splitting: Splitting) -> Problem:
        task = replace(denoising(prior, NOISE), splitting=splitting)
        return build_problem(task, found, layout, 0, dtype=torch.float64)

    with one_thread():
        problem = made(forward_backward())
        training_step(LOOSE, problem, problem.train)
        exact = parameter_gradient(problem)
        lines: list[dict[str, str]] = []
        for splitting, solver in ROWS:
            problem = made(splitting)
            began = time.process_time()
            solution, _ = training_step(solver, problem, problem.train)
            spent = time.process_time() - began
            error = float((parameter_gradient(problem) - exact).norm() / exact.norm())
            lines.append(
                {
                    "operator": "gradient step" if splitting == forward_backward() else splitting.label,
                    "solver": f"`{solver.label}`",
                    "products": f"{solution.evaluations:.0f} + {solution.products:.0f}",
                    "ms": f"{1000 * spent:.0f}",
                    "error": f"{100 * error:.2g} %" + ("" if solution.converged else ", not converged"),
                }
            )
            say(f"{len(lines)} of {len(ROWS)}")
    say(pd.DataFrame(lines).to_markdown(index=False))


if __name__ == "__main__":
    sys.exit(run_command(app, "python -m bench.studies.published.splittings", None))
