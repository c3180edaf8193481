"""A photograph, its measurement, and two trained networks iterated ten times past their training depth.

python -m bench.studies.hero_picture --out docs/figures
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
from torch import Tensor, nn

from solvers import Solver

from ..config.lookup import parse_solver, parse_task
from ..measurement.training import parameters, training_step
from ..tasks import Problem, build_problem
from ..tasks.images import Images, Layout, find_images
from ..utils.console import run_command, say
from .psnr import psnr

TASK = "deblurring_colour(drunet)"
UNROLLED, EQUILIBRIUM = "unrolled(10)", "restarted_jfb(10, 10)"
DEPTH = 10
"""Recorded iterations of both; they differ in the hundred that the second makes before."""
TRAIN_CROP, TRAIN_CROPS = 64, 12
RATE, CLIP = 0.05, 0.1
"""Of Adam, and of the norm of the gradient; with these sizes of crops as in the profile ``paper-small``."""

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@dataclass(frozen=True, slots=True)
class Panel:
    """An image ``(3, H, W)`` in [0, 1], and what stands above it."""

    title: str
    image: Tensor


def panels(crop: int, steps: int, photographs: Images) -> list[Panel]:
    """Train both networks on small crops, and iterate them on a test photograph of ``crop`` pixels a side.

    Raises ``UserError`` if an image is smaller than ``crop``.
    """
    large = _problem(crop, 1, photographs)
    test = large.test
    found = [
        Panel("truth\n", test.truth[0]),
        Panel(f"measured\n{_score(test.y, test.truth):.1f} dB", test.y[0].clamp(0, 1)),
    ]
    for text, words in ((UNROLLED, "unrolled"), (EQUILIBRIUM, "trained at equilibrium")):
        small = _problem(TRAIN_CROP, TRAIN_CROPS, photographs)
        solver = parse_solver(text)
        assert isinstance(solver, Solver)
        _train(small, solver, steps)
        large.operator.load_state_dict(small.operator.state_dict())
        trained, past = _iterates(large)
        before, after = _score(trained, test.truth), _score(past, test.truth)
        scores = f"{after:.1f} dB after {10 * DEPTH} iterations"
        say(f"{text}: {before:.1f} dB after {DEPTH} iterations, {scores}")
        found.append(Panel(f"{words}, {before:.1f} dB after {DEPTH};\n{scores}", past[0].clamp(0, 1)))
    return found


def _problem(crop: int, train: int, photographs: Images) -> Problem:
    return build_problem(parse_task(TASK), photographs, Layout(crop, train, 1), 0)


def _score(image: Tensor, truth: Tensor) -> float:
    return float(psnr(image.clamp(0, 1), truth))


def _train(problem: Problem, solver: Solver, steps: int) -> None:
    learnable = parameters(problem)
    adam = torch.optim.Adam(learnable, lr=RATE)
    for step in range(steps):
        training_step(solver, problem, problem.train.select(torch.tensor([step % TRAIN_CROPS])))
        nn.utils.clip_grad_norm_(learnable, CLIP)
        adam.step()


def _iterates(problem: Problem) -> tuple[Tensor, Tensor]:
    """The images ``(1, 3, H, W)`` after ``DEPTH`` and after ten times as many iterations."""
    T, x, trained = problem.bind(problem.test), problem.start(problem.test), None
    with torch.no_grad():
        for k in range(10 * DEPTH):
            x = T(x)
            if k + 1 == DEPTH:
                trained = x
    assert trained is not None
    image = problem.image_of(problem.test)
    # A diverged iterate holds values that are no grey levels.
    return image(trained).nan_to_num(0), image(x).nan_to_num(0)


def draw(found: list[Panel], folder: Path) -> Path:
    """Write ``hero.png`` into ``folder``: the panels side by side. Raises ``Unwritable`` if the disk is full."""
    # Imported here: matplotlib takes a second.
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    from ..report.figure_style import RC, figure_files
    from ..utils.atomic_files import write_atomically

    with mpl.rc_context(RC):
        figure, axes = plt.subplots(1, len(found), figsize=(2.4 * len(found), 2.8), layout="constrained")
        for ax, panel in zip(axes, found, strict=True):
            ax.imshow(panel.image.permute(1, 2, 0).numpy())
            ax.set_title(panel.title, fontsize=8)
            # A frame, so that a picture that diverged to white is seen.
            ax.set(xticks=[], yticks=[])
            for side in ax.spines.values():
                side.set_color("0.7")
        file = folder / "hero.png"
        write_atomically(file, figure_files(figure, "hero")["hero.png"])
        return file


@app.command()
def main(
    out: Annotated[Path, typer.Option(help="Folder of the picture.")],
    crop: Annotated[int, typer.Option(min=64, help="Side of the test photograph in pixels.")] = 192,
    steps: Annotated[int, typer.Option(min=0, help="Training steps of each network.")] = 30,
) -> None:
    """Train two networks, and draw what is left of a photograph at ten times the depth (minutes).

    \b
    python -m bench.studies.hero_picture --out docs/figures
    """
    torch.set_num_threads(1)
    found = panels(crop, steps, find_images(colour=True))
    out.mkdir(parents=True, exist_ok=True)
    say(str(draw(found, out)))


def entry(arguments: list[str] | None = None) -> int:
    """Run the command. Returns its exit code: 2 with one line on standard error for bad input."""
    return run_command(app, "python -m bench.studies.hero_picture", arguments)


if __name__ == "__main__":
    sys.exit(entry())
