"""The command ``python -m bench.studies.minibatches``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from ...utils.console import run_command, say

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def main(
    out: Annotated[Path, typer.Option(help="Folder of the table and the curves.")],
    crops: Annotated[int, typer.Option(min=2, help="Number of crops.")] = 12,
    batch: Annotated[int, typer.Option(min=1, help="Crops of a step.")] = 4,
    crop: Annotated[int, typer.Option(min=8, help="Side of the crops in pixels.")] = 64,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the crops.")] = 6,
    seeds: Annotated[int, typer.Option(min=1, help="Number of seeds.")] = 3,
) -> None:
    """Compare cold and warm starts, and L-BFGS, where each step sees a batch (five minutes).

    \b
    python -m bench.studies.minibatches --out results/minibatches
    """
    from ...config.lookup import parse_user_task
    from ...tasks.images import Layout, find_images
    from .study import TASKS, Plan, minibatch_study

    tasks = [parse_user_task(text).value for text in TASKS]
    images = find_images(None, colour=False)
    plan = Plan(tasks, images, Layout(crop, crops, 1), batch, epochs, seeds)
    for file in minibatch_study(plan, out, say):
        print(file)  # noqa: T201


def entry(arguments: list[str] | None = None) -> int:
    """Run the command. Returns its exit code: 2 with one line on standard error for bad input."""
    return run_command(app, "python -m bench.studies.minibatches", arguments)


if __name__ == "__main__":
    sys.exit(entry())
