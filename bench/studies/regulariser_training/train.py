"""Train a regulariser for denoising: ``python -m bench.studies.regulariser_training.train --help``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import torch
import typer

from ...config.lookup import parse_task
from ...denoisers.weights import weight_bytes
from ...regularisers import REGULARISERS
from ...report.figure_style import save_figure
from ...utils.atomic_files import make_folder, write_atomically
from ...utils.console import run_command, say
from ...utils.errors import UserError, unknown
from ..denoiser_training.crops import Photographs, read_folders
from .recipe import OPTIMISERS, RECIPES
from .record import TrainingRecord, training_figure
from .training import Budget, Training, tape_bytes
from .validation import Validation, validation_crops

app = typer.Typer(add_completion=False, rich_markup_mode=None)


def fit_regulariser(
    training: Training,
    photographs: Photographs,
    validation: Validation,
    checkpoint: Path,
    looks: int,
    progress: Callable[[str], None] = say,
) -> TrainingRecord:
    """Train until the budget is spent, continuing from ``checkpoint`` if it exists.

    The regulariser with the running average of its weights is ``training.average.regulariser``.

    Args:
        training: at its start.
        photographs, validation: images to train on, and crops to judge on.
        checkpoint: is written at each look.
        looks: number of looks at the validation crops, at equal shares of the budget; there is one at the start too.
        progress: gets a line for each look.

    Raises:
        UserError: the checkpoint is damaged or of another training, or a step is not finite.
    """
    if checkpoint.is_file():
        training.resume(checkpoint)
    tape = tape_bytes(training, training.batch(photographs))
    if not training.done:
        training.look(validation)
    while not training.ended:
        before = int(looks * training.spent)
        training.advance(photographs)
        if int(looks * training.spent) > before or training.ended:
            psnr, history = training.look(validation), training.history
            progress(
                f"step {training.done}: {history.products[-1]:.0f} products, {history.seconds[-1]:.0f} s, "
                f"loss {history.losses[-1]:.5f}, {psnr:.2f} dB"
            )
            training.write(checkpoint)
    return TrainingRecord(
        training.recipe.solver,
        training.identity,
        training.history,
        tape,
        validation.psnr_of(validation.y),
    )


@app.command()
def train_regulariser(
    prior: Annotated[str, typer.Argument(help="A call of " + ", ".join(REGULARISERS) + ".")],
    images: Annotated[
        list[Path], typer.Option("--images", help="A folder of training images; may be repeated.")
    ],
    test: Annotated[Path, typer.Option("--test", help="A folder of images to judge on.")],
    out: Annotated[Path, typer.Option("--out", help="The weights, a .safetensors file.")],
    recipe: Annotated[str, typer.Option("--recipe", help=", ".join(RECIPES))] = "fast",
    solver: Annotated[
        str | None, typer.Option("--solver", help="An estimator, in place of the recipe's.")
    ] = None,
    optimiser: Annotated[str | None, typer.Option("--optimiser", help=", ".join(OPTIMISERS))] = None,
    rate: Annotated[float | None, typer.Option("--rate", help="Largest learning rate.", min=0.0)] = None,
    noise: Annotated[float, typer.Option("--noise", help="Standard deviation of the noise.")] = 0.1,
    crop: Annotated[int | None, typer.Option("--crop", help="Side of the training crops.", min=16)] = None,
    batch: Annotated[int | None, typer.Option("--batch", min=1)] = None,
    seed: Annotated[int, typer.Option("--seed", min=0)] = 0,
    steps: Annotated[int | None, typer.Option("--steps", help="Largest number of steps.", min=1)] = None,
    products: Annotated[
        float | None, typer.Option("--products", help="Applications and VJPs to end at.", min=1.0)
    ] = None,
    seconds: Annotated[
        float | None, typer.Option("--seconds", help="Seconds of the process to end at.", min=1.0)
    ] = None,
    looks: Annotated[int, typer.Option("--looks", help="Number of looks at the PSNR.", min=1)] = 8,
    test_crop: Annotated[
        int, typer.Option("--test-crop", help="Side of the crops to judge on.", min=16)
    ] = 64,
    threads: Annotated[int, typer.Option("--threads", min=1)] = 1,
) -> None:
    """Train a regulariser at the equilibrium, from random patches. A stopped run continues from its last look.

    Beside --out it writes the record in JSON, the looks in CSV, and a figure.
    """
    if recipe not in RECIPES:
        raise unknown("recipe", recipe, RECIPES)
    if optimiser is not None and optimiser not in OPTIMISERS:
        raise unknown("optimiser", optimiser, OPTIMISERS)
    if out.suffix != ".safetensors":
        raise UserError(f"--out must be a .safetensors file, not {str(out)!r}")
    limits = {"steps": steps, "products": products, "seconds": seconds}
    if all(limit is None for limit in limits.values()):
        raise UserError("a training needs an end: give --steps, --products or --seconds")
    if prior.partition("(")[0] not in REGULARISERS:
        raise unknown("regulariser", prior, REGULARISERS)
    task = parse_task(f"denoising({prior}, noise={noise:g})")
    given = {"solver": solver, "optimiser": optimiser, "rate": rate, "crop": crop, "batch": batch}
    chosen = replace(RECIPES[recipe], **{name: value for name, value in given.items() if value is not None})
    torch.set_num_threads(threads)
    budget = Budget(**{name: float(value) for name, value in limits.items() if value is not None})
    training = Training(task, chosen, budget, seed)
    photographs = read_folders(images, 1, chosen.crop)
    validation = validation_crops(test, noise, test_crop)
    make_folder(out.parent)
    checkpoint = out.with_suffix(".checkpoint")
    record = fit_regulariser(training, photographs, validation, checkpoint, looks)
    write_atomically(out, weight_bytes(training.average.regulariser, prior))
    record.write(out.with_suffix(".json"))
    save_figure(training_figure([record]), out.stem, out.parent)
    checkpoint.unlink(missing_ok=True)
    say(f"noisy {record.noisy:.2f} dB, trained {record.history.look_psnr[-1]:.2f} dB; weights: {out}")


if __name__ == "__main__":
    sys.exit(run_command(app, "python -m bench.studies.regulariser_training.train", None))
