"""The command ``export``: a run for other tools. What people read and paste, ``report`` writes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import writable

exports = typer.Typer(rich_markup_mode=None)


@exports.command()
def export(
    folder: Annotated[Path, typer.Argument(help="The --out of a run.")],
    benchopt: Annotated[
        Path,
        typer.Option("--benchopt", help="A folder for 'benchopt plot'; made if missing.", file_okay=True),
    ],
) -> None:
    """Write a run in another tool's layout. Tables, BibTeX and figures: report.

    \b
    python -m bench export results/quick --benchopt plots
    """
    writable(benchopt, "--benchopt")
    from ..report.benchopt_export import write_benchopt

    for file in write_benchopt(folder, benchopt):
        print(file)  # noqa: T201
