"""The leaderboard of a run as a table, for the page, the terminal and Markdown."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..analysis.cost_at_error import percent
from ..analysis.leaderboard import RULE, WITHIN, Standing
from ..config.call_syntax import brief_call
from .cells import MISSING, HeaderCell, HtmlTable, TableCell, number_cell, solver_cell

LONGEST = 20
"""Rows of a ranking in ``leaderboard_page``."""
STABLE = {True: "yes", False: "no", None: MISSING}
LEGEND = (
    "Products, milliseconds and MiB of tape are of a training step, means over the tasks; the error is the largest "
    "over tasks, seeds and draws. Stable: plain iteration of the learned operator stays at its equilibrium on every "
    "task where that was measured. A solver that was measured on fewer than half of the tasks has no rank."
)


def leaderboard_table(standings: Sequence[Standing], within: float = WITHIN) -> HtmlTable:
    """The rows of ``leaderboard`` with the limit ``within`` that they were made with."""
    heads = (
        HeaderCell("rank", number=True),
        HeaderCell("estimator", header=True),
        HeaderCell("mean place", number=True),
        HeaderCell(f"tasks within {100 * within:g} %, stable", number=True),
        HeaderCell("products", number=True),
        HeaderCell("ms", number=True),
        HeaderCell("MiB of tape", number=True),
        HeaderCell("largest error", number=True),
        HeaderCell("stable"),
    )
    rows = [
        (
            number_cell(math.nan if row.rank is None else row.rank),
            solver_cell(row.solver),
            number_cell(row.score, f"{row.score:.2f}"),
            number_cell(row.exact, f"{row.exact} of {len(row.places)}"),
            number_cell(row.products),
            number_cell(row.ms),
            number_cell(row.mib),
            number_cell(row.error, percent(row.error))
            if math.isfinite(row.error)
            else TableCell(MISSING, None),
            TableCell(STABLE[row.stays], STABLE[row.stays] if row.stays is not None else None),
        )
        for row in standings
    ]
    return HtmlTable("table-leaderboard", "All solvers across the tasks of the run.", heads, tuple(rows))


def leaderboard_page(found: Mapping[Path, Sequence[Standing]], out: Path, within: float = WITHIN) -> str:
    """The Markdown of several rankings, a section for each run.

    Args:
        found: rows of ``leaderboard`` by the folder of the run.
        out: folder of the page, from which it links to the pages of the runs.
        within: limit that the rows were made with.
    """
    command = f"python -m bench leaderboard {' '.join(map(str, found))} --out {out}"
    parts = [
        "# Leaderboard",
        RULE.format(100 * within),
        LEGEND,
        "To enter, add a solver to a run of the same profile; nothing of the project has to be changed "
        "([adding](adding.md)):",
        "    python -m bench run quick --out results/quick --solver './mine.py:mine(10)'\n"
        "    python -m bench leaderboard results/quick",
        f"Made by `{command}`.",
    ]
    for folder, standings in found.items():
        page = folder / "index.html"
        link = (
            f" ([page of the run]({Path(os.path.relpath(page, out)).as_posix()}))" if page.is_file() else ""
        )
        tasks = dict.fromkeys(task for row in standings for task in row.places)
        names = ", ".join(f"`{task}`" for task in tasks)
        table = leaderboard_table(standings[:LONGEST], within).frame()
        table["estimator"] = [f"`{brief_call(str(label))}`" for label in table["estimator"]]
        align = ["left" if title in ("estimator", "stable") else "right" for title in table]
        parts += [f"## {folder.name}", f"Tasks: {names}{link}."]
        parts.append(table.to_markdown(index=False, disable_numparse=True, colalign=align))
        if len(standings) > LONGEST:
            parts.append(f"The page of the run has {len(standings) - LONGEST} more.")
    return "\n\n".join(parts) + "\n"
