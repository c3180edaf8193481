"""A picture of each measurement, of its start, and of a learned reconstruction.

python -m bench.studies.modality_pictures --out docs/figures
"""

# The stubs of matplotlib do not know the types of arguments.
# pyright: reportArgumentType=false
from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import typer
from torch import Tensor

from solvers import Anderson, Solver

from ..config.lookup import parse_solver, parse_task
from ..measurement.training import parameters, training_step
from ..tasks import Problem, build_problem, shown
from ..tasks.images import MEDICAL, Layout, find_images
from ..utils.console import run_command, say
from .psnr import psnr

TASKS = (
    "mri",
    "mri_coils",
    "tomography",
    "super_resolution",
    "super_resolution(factor=4)",
    "demosaicing",
    "poisson",
)
SOLVER = "implicit(anderson(0.0001), gmres(0.003))"
RATE = 0.15

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@dataclass(frozen=True, slots=True)
class Picture:
    """The images of a task, ``(1 or 3, H, W)`` in [0, 1].

    Attributes:
        name: the call that makes the task.
        truth, start, found: the image, the start of the iteration, and the equilibrium.
        before, after: PSNR of the start and of the equilibrium, in dB.
    """

    name: str
    truth: Tensor
    start: Tensor
    found: Tensor
    before: float
    after: float


def picture(name: str, crop: int, steps: int) -> Picture:
    """Train a task on the medical images of scikit-image for ``steps`` steps, and reconstruct a test image.

    Raises ``UserError`` if the images are missing, or smaller than ``crop`` pixels.
    """
    task, solver = parse_task(name), parse_solver(SOLVER)
    assert isinstance(solver, Solver)
    problem = build_problem(task, find_images(MEDICAL), Layout(crop, 4, 1), 0, dtype=torch.float64)
    _train(problem, solver, steps)
    batch = problem.test
    with torch.no_grad():
        state = Anderson(1e-6, 2000)(problem.bind(batch), problem.start(batch)).x
        found = shown(problem.image_of(batch)(state))
    truth, start = shown(batch.truth), shown(batch.picture())
    before, after = (float(psnr(image.clamp(0, 1), truth)) for image in (start, found))
    return Picture(name, truth[0], start[0], found[0], before, after)


def _train(problem: Problem, solver: Solver, steps: int) -> None:
    learnable = parameters(problem)
    adam = torch.optim.Adam(learnable, lr=RATE)
    for _ in range(steps):
        training_step(solver, problem, problem.train)
        adam.step()


def draw(pictures: list[Picture], folder: Path) -> list[Path]:
    """Write the pictures into ``folder``, one column a task."""
    # Imported here: matplotlib takes a second.
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    from ..report.figure_style import RC, save_figure

    with mpl.rc_context(RC):
        figure, axes = plt.subplots(3, len(pictures), figsize=(1.75 * len(pictures), 6.0), squeeze=False)
        for column, of in zip(axes.T, pictures, strict=True):
            rows = (
                (of.truth, of.name.replace("(", "\n(")),
                (of.start, f"{of.before:.1f} dB"),
                (of.found, f"{of.after:.1f} dB"),
            )
            for ax, (image, title) in zip(column, rows, strict=True):
                pixels = image.clamp(0, 1).permute(1, 2, 0).numpy()
                ax.imshow(pixels[..., 0] if pixels.shape[2] == 1 else pixels, cmap="gray", vmin=0, vmax=1)
                ax.set_title(title, fontsize=8)
                ax.set_xticks([])
                ax.set_yticks([])
        for ax, words in zip(axes[:, 0], ("truth", "measured, or the start", "equilibrium"), strict=True):
            ax.set_ylabel(words, fontsize=8)
        return save_figure(figure, "modalities", folder)


@app.command()
def main(
    out: Annotated[Path, typer.Option(help="Folder of the figure.")],
    crop: Annotated[int, typer.Option(min=32, help="Side of the crops in pixels.")] = 96,
    steps: Annotated[int, typer.Option(min=0, help="Training steps of each task.")] = 30,
) -> None:
    """Draw each measurement, its start and a learned reconstruction (four minutes).

    \b
    python -m bench.studies.modality_pictures --out docs/figures
    """
    torch.set_num_threads(1)
    found: list[Picture] = []
    for name in TASKS:
        found.append(picture(name, crop, steps))
        say(f"{name}: {found[-1].before:.2f} dB to {found[-1].after:.2f} dB")
    out.mkdir(parents=True, exist_ok=True)
    for file in draw(found, out):
        say(str(file))


def entry(arguments: list[str] | None = None) -> int:
    """Run the command. Returns its exit code: 2 with one line on standard error for bad input."""
    return run_command(app, "python -m bench.studies.modality_pictures", arguments)


if __name__ == "__main__":
    sys.exit(entry())
