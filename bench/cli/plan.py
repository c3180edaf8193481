"""The command ``plan``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..utils.console import print_frame
from .options import ProfileName


def plan(
    profile: ProfileName,
    runs: Annotated[
        list[Path] | None,
        typer.Option(
            "--from", help="A run to take seconds from; the committed runs by default.", metavar="RUN"
        ),
    ] = None,
    workers: Annotated[
        list[int] | None, typer.Option(min=1, help="Numbers of workers; 1, 2, 4 and 8 by default.")
    ] = None,
) -> None:
    """Show what a profile took in earlier runs.

    Cells that have not been measured are estimated from finished cells of the same task and size.

    \b
    python -m bench plan quick --workers 8
    python -m bench plan paper --from results/paper
    """
    from .. import ROOT
    from ..config.matrix import load_profile
    from ..planning.profile_times import (
        device_of,
        finished_records,
        planned_cells,
        task_table,
        unmeasured,
        workers_table,
    )

    chosen = load_profile(profile)
    committed = sorted(file.parent for file in (ROOT / "results" / "reference").glob("*/manifest.json"))
    records = finished_records(runs or committed)
    planned = planned_cells(chosen, records)
    print_frame(task_table(planned, records), "cells")
    device = device_of(records[0]) if records else "cpu"
    print_frame(workers_table(planned, workers or [1, 2, 4, 8], device), "time by number of workers")
    if tasks := unmeasured(planned):
        print(f"no cell of this size was measured, so these are not counted: {', '.join(tasks)}")  # noqa: T201
