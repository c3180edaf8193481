"""The command ``python -m bench.studies.learned_gain``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from ...utils.console import run_command, say

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def main(
    out: Annotated[Path, typer.Option(help="Folder of the tables.")],
    images: Annotated[
        str | None,
        typer.Option(help="Images of all tasks, as of bench run; by default MR, CT or photographs by task."),
    ] = None,
    task: Annotated[
        list[str] | None,
        typer.Option(help="A task of the profile modalities; may be repeated. All by default."),
    ] = None,
    seeds: Annotated[int, typer.Option(min=2, help="Number of seeds.")] = 3,
    crop: Annotated[int, typer.Option(min=32, help="Side of the crops in pixels.")] = 64,
    train: Annotated[int, typer.Option(min=1, help="Training crops.")] = 4,
    test: Annotated[int, typer.Option(min=1, help="Test crops.")] = 4,
) -> None:
    """Compare learned weights with one hand-tuned weight on each modality.

    \b
    python -m bench.studies.learned_gain --out results/modality-gain
    """
    from ...tasks.images import Layout
    from ...utils.errors import unknown
    from .study import MODALITIES, Plan, gain_study

    for each in task or ():
        if each not in MODALITIES:
            raise unknown("task of the study", each, MODALITIES)
    chosen = {text: own for text, own in MODALITIES.items() if not task or text in task}
    for file in gain_study(Plan(seeds, Layout(crop, train, test), images, chosen), out, say):
        print(file)  # noqa: T201


def entry(arguments: list[str] | None = None) -> int:
    """Run the command. Returns its exit code: 2 with one line on standard error for bad input."""
    return run_command(app, "python -m bench.studies.learned_gain", arguments)


if __name__ == "__main__":
    sys.exit(entry())
