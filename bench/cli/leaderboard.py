"""The command ``leaderboard``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..utils.terminal import printed_json
from .options import Json, writable


def leaderboard(
    folders: Annotated[list[Path], typer.Argument(help="Folders of runs; each has a ranking of its own.")],
    within: Annotated[
        float,
        typer.Option(min=1e-12, max=1, help="Limit on the relative error of the gradient.", metavar="ERROR"),
    ] = 0.01,
    out: Annotated[
        Path | None, typer.Option(help="Folder for leaderboard.md, in place of a table on the terminal.")
    ] = None,
    json: Json = False,
) -> None:
    """Rank the solvers of a run across its tasks.

    \b
    python -m bench leaderboard results/quick
    python -m bench leaderboard results/reference/quick-cpu results/reference/pareto-cpu --out docs
    """
    from dataclasses import asdict
    from json import dumps

    from ..analysis.leaderboard import RULE
    from ..analysis.leaderboard import leaderboard as ranking
    from ..analysis.tidy import tidy
    from ..records.store import load
    from ..report.leaderboard_table import leaderboard_page, leaderboard_table
    from ..utils.atomic_files import make_folder, write_atomically
    from ..utils.console import print_frame, say

    writable(out)
    found = {folder: ranking(tidy(load(folder)), within) for folder in folders}
    if json:
        rows = {str(folder): [asdict(row) for row in standings] for folder, standings in found.items()}
        print(printed_json(dumps(rows, ensure_ascii=False)))  # noqa: T201
        return
    if out is not None:
        make_folder(out)
        write_atomically(out / "leaderboard.md", leaderboard_page(found, out, within))
        say(str(out / "leaderboard.md"))
        return
    for folder, standings in found.items():
        print_frame(leaderboard_table(standings, within).frame(), str(folder))
    say(RULE.format(100 * within))
