"""Trained regularisers on other measurements: ``python -m bench.studies.regulariser_training.transfer --help``."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import pandas as pd
import torch
import typer
from torch import nn

from solvers import Anderson, ForwardSolver, QuasiNewton

from ...config.lookup import parse_task
from ...operators import ForwardBackward, GradientStep
from ...regularisers import RidgeRegulariser
from ...tasks import Batch, Problem, build_problem
from ...tasks.images import Images, Layout
from ...utils.atomic_files import make_folder, write_atomically
from ...utils.console import print_frame, run_command, say
from ..denoiser_training.crops import image_files
from ..psnr import psnr

app = typer.Typer(add_completion=False, rich_markup_mode=None)

MEASUREMENTS = ("deblurring({})", "tomography({})", "deblurring({}, noise=0.1)", "denoising({})")
"""Tasks by prior; the last is the one of the training."""
PENALTY = "huber"
"""The penalty to compare with."""
SMALLEST = -20
"""Factors from ``2^SMALLEST`` are tried."""


@dataclass(frozen=True, slots=True)
class Tuned:
    """A prior with one factor on it that was chosen for PSNR on the tuning images.

    Attributes:
        factor: on R, or on all weights of the penalty.
        converged: whether the solves on the test crops met their tolerance.
        test: PSNR of each test crop in dB.
    """

    factor: float
    converged: bool
    test: torch.Tensor


def scaled(problem: Problem, logarithm: float) -> None:
    """Multiply the regulariser, or the weights of the penalty, of a problem by ``e^logarithm``."""
    weights: nn.Parameter
    operator = problem.operator
    if isinstance(operator, GradientStep):
        assert isinstance(operator.regulariser, RidgeRegulariser)
        weights = operator.regulariser.strength
    else:
        assert isinstance(operator, ForwardBackward)
        weights = operator.prior.log_weights
    with torch.no_grad():
        weights.add_(logarithm)


@torch.no_grad()
def scores(problem: Problem, batch: Batch, solver: ForwardSolver) -> tuple[torch.Tensor, bool]:
    """PSNR in dB of the equilibrium of each crop, and whether all of them converged."""
    found = solver(problem.bind(batch), problem.start(batch))
    return psnr(problem.image_of(batch)(found.x), batch.truth), bool(found.report.converged)


def climb(value: Callable[[int], float], start: int, least: int) -> int:
    """The integer from ``least`` on at which ``value`` has its maximum, if it has no other local one."""
    at, best = start, value(start)
    for step in (-1, 1):
        while at + step >= least and (found := value(at + step)) > best:
            at, best = at + step, found
    return at


def tuned(build: Callable[[], Problem], solver: ForwardSolver, halvings: int) -> Tuned:
    """Choose the factor ``2^(k/halvings)`` of a prior on the training crops of a problem, and judge on the test crops.

    Args:
        build: makes the problem with its initial parameters.
        solver: of the equilibrium.
        halvings: k to a factor of two.
    """

    def value(k: int) -> float:
        problem = build()
        scaled(problem, k * math.log(2) / halvings)
        return float(scores(problem, problem.train, solver)[0].mean())

    coarse = halvings * climb(lambda k: value(halvings * k), 0, SMALLEST)
    best = climb(value, coarse, SMALLEST * halvings)
    problem = build()
    scaled(problem, best * math.log(2) / halvings)
    test, converged = scores(problem, problem.test, solver)
    return Tuned(2 ** (best / halvings), converged, test)


def solver_of(prior: str) -> ForwardSolver:
    """What finds the equilibrium of a prior accurately enough for a mean PSNR."""
    return Anderson(1e-5, 1000) if prior == PENALTY else QuasiNewton(1e-6, 300)


def row(
    measurement: str, priors: tuple[str, ...], images: Images, layout: Layout, halvings: int
) -> dict[str, str]:
    """A line of the table: mean PSNR in dB over the test crops, and the chosen factors."""
    cells: dict[str, str] = {}
    for prior in (*priors, PENALTY):
        task = parse_task(measurement.format(prior))
        build, solver = partial(build_problem, task, images, layout, 0), solver_of(prior)
        problem = build()
        if not cells:
            cells["measurement"] = measurement.format("…")
            cells["start"] = f"{float(psnr(problem.test.x0, problem.test.truth).mean()):.2f}"
        if prior != PENALTY:
            unchanged, _ = scores(problem, problem.test, solver)
            cells[f"{prior}, unchanged"] = f"{float(unchanged.mean()):.2f}"
        found = tuned(build, solver, halvings)
        mark = "" if found.converged else ", not converged"
        cells[f"{prior}, tuned"] = f"{float(found.test.mean()):.2f} (× {found.factor:.3g}{mark})"
        say(f"{task.label}: {cells[f'{prior}, tuned']}")
    return cells


@app.command()
def transfer(
    images: Annotated[Path, typer.Option("--images", help="A folder of images to tune the factors on.")],
    test: Annotated[Path, typer.Option("--test", help="A folder of images to judge on.")],
    out: Annotated[Path, typer.Option("--out", help="A folder.")],
    priors: Annotated[
        list[str] | None, typer.Option("--prior", help="Ridge regularisers; crr by default.")
    ] = None,
    tune: Annotated[int, typer.Option("--tune", help="Number of tuning crops.", min=1)] = 4,
    crop: Annotated[int, typer.Option("--crop", help="Side of the crops.", min=16)] = 64,
    halvings: Annotated[int, typer.Option("--halvings", help="Factors to a factor of two.", min=1)] = 2,
) -> None:
    """Write a table of PSNR of trained regularisers on measurements that they were not trained for.

    The table is written after each measurement. Each prior has one factor, chosen on the tuning images alone: on the
    regulariser, or on all weights of a wavelet penalty.
    """
    torch.set_num_threads(1)
    tuning, judged = tuple(image_files(images)), tuple(image_files(test))
    chosen = Images(str(images), tuning, judged, "")
    layout = Layout(crop=crop, train=tune, test=len(judged))
    make_folder(out)
    calls = tuple(priors or ("crr",))
    rows: list[dict[str, str]] = []
    table = pd.DataFrame()
    for measurement in MEASUREMENTS:
        rows.append(row(measurement, calls, chosen, layout, halvings))
        table = pd.DataFrame(rows)
        write_atomically(out / "transfer.md", table.to_markdown(index=False) + "\n")
    print_frame(table, f"PSNR in dB, mean of {len(judged)} crops")


if __name__ == "__main__":
    sys.exit(run_command(app, "python -m bench.studies.regulariser_training.transfer", None))
