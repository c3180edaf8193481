"""The command ``export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import Folder, writable


def export(
    folder: Folder,
    benchopt: Annotated[
        Path,
        typer.Option(help="Folder for 'benchopt plot'; made if missing.", metavar="FOLDER"),
    ],
) -> None:
    """Write a run in the layout of benchopt.

    Tables (also Parquet and LaTeX), BibTeX and figures are written by report.

    \b
    python -m bench export results/quick --benchopt plots
    """
    writable(benchopt, "--benchopt")
    from ..report.benchopt_export import write_benchopt

    for file in write_benchopt(folder, benchopt):
        print(file)  # noqa: T201
