"""The command ``report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..utils.console import say
from .options import Folder


def report(
    folder: Folder,
    bounds: Annotated[
        Path | None,
        typer.Option(
            help="Show the verdicts of the theory: the --out of 'theory_checks verify'.", metavar="FOLDER"
        ),
    ] = None,
) -> None:
    """Write tables, figures and page of a run again.

    \b
    python -m bench report results/quick
    python -m bench report results/quick --bounds results/reference/bounds
    """
    from ..records.store import Store
    from ..report.report import no_page, write_report

    files = write_report(folder, bounds)
    for file in files:
        print(file)  # noqa: T201
    if folder / "index.html" not in files:
        say(no_page(folder), "yellow")
    store = Store(folder)
    manifest = store.manifest()
    if damaged := store.damaged(manifest.cells if manifest else []):
        say(f"{len(damaged)} damaged records are not shown; run measures their cells again")
    if stale := store.stale():
        say(f"{len(stale)} records of older code, versions or settings are not shown")
